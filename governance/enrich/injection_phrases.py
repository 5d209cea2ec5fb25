"""The words by which a text is taken for an order to its reviewer; data for `injection.py`.

Gaps are bounded (`_GAP`) and within a line, so that matching is linear and two sentences far apart make no order.
"""

from __future__ import annotations

_GAP = r"[^\n]{0,40}?"
_OBJECT = (
    r"(?:instructions?|rules|polic(?:y|ies)|guidelines|prompts?|directives?|orders|constraints|checklists?|guardrails?"
    r"|safety|training|restrictions|system message|commands|criteria|threat lists?|findings)"
)
_WHOSE = (
    r"(?:all|any|every|your|the|previous|prior|above|earlier|preceding|former|these|those|its|other|foregoing|initial)"
)
_APP = r"(?:app|application|design|template|manifest|deployment|submission|micro-?app|proposal)"
_READER = (
    r"(?:ai|llm|a\.i\.|language model|assistant|chatbot|gpt(?:-?\d)?|claude|gemini|copilot|reviewer|auditor bot|review bot"
    r"|automated review\w{0,24}|model reading|model that reads|reviewing (?:model|system|agent))"
)
_NONE = r"(?:no|zero|0|without(?: any)?|an? empty|nothing)"
_FINDINGS = r"(?:findings?|issues?|problems?|threats?|risks?|concerns?|objections?|vulnerabilit(?:y|ies)|list|array)"

SOURCES: tuple[tuple[str, str], ...] = (
    # Orders that take the reviewer's own orders away.
    (
        "override",
        rf"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|overrule|bypass|neglect|set aside|discard|abandon|suspend"
        rf"|pay no attention to|no longer follow|(?:do not|don't|never|stop) (?:follow|obey|apply|use)\w{{0,24}}|instead of) ?"
        rf"(?:\w+ ){{0,3}}?{_WHOSE}\b{_GAP}\b{_OBJECT}\b",
    ),
    ("override", r"\b(?:ignor|disregard|forget)\w{0,24} (?:everything|all(?: of)? (?:that|this|it)|what(?:ever)? (?:you|was|came|is))\b"),
    ("override", rf"\b(?:previous|prior|above|earlier|your|old|original) {_OBJECT}\b{_GAP}\b(?:no longer|do(?:es)? not|don't|are void|are cancel\w{{0,24}}|revoked|suspended|outdated|superseded|expired|null)"),
    ("override", r"\b(?:new|updated|revised|real|actual|true|following) (?:system |developer |higher.priority )?(?:instructions?|directives?|orders|system prompt|priority)\b ?(?::|are\b|follow|from|is\b|take precedence|supersede|replace)"),
    ("override", r"\b(?:system|admin(?:istrator)?|developer|root|security|emergency|policy|reviewer) ?(?:override|mode (?:on|enabled|activated)|bypass)\b"),
    # Another role for the reader.
    ("role", r"\byou(?:'re| are| will be| shall be| must be)? (?:now|no longer|from now on|henceforth|hereby) (?!able|using|looking|in |on |at )\w+"),
    ("role", r"\b(?:from now on|henceforth|starting now|for the rest of (?:this|the) (?:conversation|review|session))\b,? (?:you|your|respond|answer|act)\b"),
    ("role", r"\b(?:pretend|imagine|suppose|roleplay|role-play|simulate) (?:that )?(?:you|to be|being|as|we are|a (?:model|world|reviewer))\b"),
    ("role", r"(?:^|[.!?:;\n] ?|\byou (?:will|must|should|shall|can|are to)? ?|\bplease )(?:act|behave|respond|answer|speak) (?:as|like) (?:if you|though you|an?|the|my|dan\b)"),
    ("role", r"\b(?:dan mode|do anything now|jailbr(?:eak|oken)|unrestricted (?:ai|mode|assistant|model)|without (?:any )?(?:restrictions|filters|limitations) ?(?:you|and)?|debug mode|god mode|opposite day|evil twin)\b"),
    ("role", r"\b(?:grandmother|grandma|late (?:father|mother))\b[^\n]{0,80}\b(?:approv|review|read me|used to|tell me)"),
    ("role", r"\b(?:let's play|we (?:are playing|play)|this is) (?:a|the) (?:game|thought experiment|fictional|hypothetical|simulation|story)\b"),
    # The result dictated.
    ("verdict", rf"\b(?:report|return|output|respond|answer|reply|say|print|give|list|produce|emit|write|submit|conclude|state|provide|raise|mention|find|generate|include|send)\w{{0,24}}\b{_GAP}\b{_NONE} (?:\w+ )?{_FINDINGS}\b"),
    ("verdict", r"\b(?:report|return|output|respond|answer|reply|say|print|write|emit|conclude|state)\w{0,24}(?: back)?(?: only| just| exactly| simply| solely)?(?: with| that)?(?: only| just| exactly| simply| solely)?(?: the word| the text| the json| the following)?:? ?[\"'`*]?(?:approved|approve|allow(?:ed)?\b|pass(?:ed)?\b|lgtm|ok\b|safe\b|compliant|\{|\[ ?\])"),
    ("verdict", rf"\b(?:mark|rate|classify|treat|score|consider|label|flag|deem|regard|grade|set|downgrade|lower|assess|evaluate|judge|report)\w{{0,24}}\b{_GAP}\b(?:as|to|with|severity|be)\b (?:\w+ )?(?:safe|compliant|approved|pre-?approved|trusted|informational|info\b|harmless|benign|low|no risk|risk-?free|minor|exempt|passed)\b"),
    ("verdict", rf"\b(?:this|the|my|our|every|following) (?:\w+ )?{_APP}s? (?:is|was|are|were|has been|have been|must be|should be|shall be|needs to be) (?:\w+ )?(?:pre-?approved|approved|exempt\w{{0,24}}|cleared|whitelisted|allow-?listed|certified|vetted|verified|signed off|safe|compliant|harmless|risk-?free|trusted|out of scope)"),
    ("verdict", rf"\b(?:approve|accept|pass|clear|wave through|greenlight|green-light|sign off(?: on)?|whitelist|allow) (?:this|the|my|our|every|all|any) (?:\w+ )?{_APP}s?\b"),
    ("verdict", r"\b(?:no|without|skip(?:ping)?|needs? no|requires? no|omit|waive) (?:the |this |any |further |more |additional |manual |human |security |design ){0,3}(?:review|scrutiny|analysis|assessment|findings|checks|threat model\w{0,24})\b(?: is| are| was)? ?(?:needed|required|necessary|step|phase|section|for|of this|today|and|,|\.|$)"),
    ("verdict", r"\b(?:already|previously|manually) (?:been )?(?:reviewed|approved|cleared|audited|verified|vetted|signed off)\b[^\n]{0,60}\b(?:so|therefore|hence|no need|you|skip|simply|just)\b"),
    ("verdict", r"\b(?:do not|don't|never|must not|avoid|refrain from|you may not|should not) (?:ever )?(?:report|flag|mention|list|raise|question|criticis|criticiz|complain|object|return|include|record|comment)\w{0,24}\b"),
    ("verdict", r"[\"']?findings[\"']? ?: ?\[ ?\]|[\"'](?:verdict|effect|decision|approved|risk|severity)[\"'] ?: ?(?:[\"'](?:allow|approve|pass|none|safe|info|low)|true)"),
    # The reader addressed.
    ("address", rf"\b(?:dear|hey|hello|hi|attention|attn|notice|note|notes|message|memo|warning|instructions?|reminder|hint|info|important)\b,?:? ?(?:to|for)? ?(?:the |all |any |every |our |my )?{_READER}s?\b"),
    ("address", rf"\bif (?:you|this|the reader|whoever)\b{_GAP}\b{_READER}\b"),
    ("address", r"\bas an? (?:ai|language model|llm|assistant|automated)\b"),
    ("address", rf"(?:^|\n) ?(?:@|todo\(?)?{_READER} ?[:,)] ?\w"),
    ("address", rf"\b{_READER}s? (?:should|must|shall|may|can|has to|have to|is to|are to|will|need to|needs to)\b"),
    # Borders that a prompt draws between what is said by whom.
    ("delimiter", r"<\|? ?/?(?:im_start|im_end|im_sep|system|endoftext|eot_id|begin_of_text|start_header_id|end_header_id|user|assistant|end|endofprompt|start_of_turn|end_of_turn) ?\|?>"),
    ("delimiter", r"</? ?(?:system|assistant|user|human|instructions?|design|document|untrusted|data|prompt|context|input|start_of_turn|end_of_turn|system-reminder|admin|developer|override)(?:[ _-][\w-]{0,40})? ?>"),
    ("delimiter", r"\[/?(?:inst|sys|system|assistant|end of design|/?untrusted)\]|<</?sys>>"),
    ("delimiter", r"(?:^|\n) ?(?:#{1,6}|={2,}|-{2,}|\*{2,}|/\*|<!--|\{[#%]|>{2,}|%%|~{3,}) ?(?:new |end |end of |begin |start of )?(?:system|instructions?|assistant|developer|human|user (?:input|message|turn)|reviewer|the design|design|document|data|untrusted|input|response|answer|prompt)\b"),
    ("delimiter", r"(?:^|\n) ?(?:system|assistant|human|developer) ?: ?\S"),
    ("delimiter", r"\b(?:end|begin|start) of (?:the )?(?:design|document|untrusted|user input|system prompt|data section|input|conversation|review data)\b"),
    ("delimiter", r"[\"']role[\"'] ?: ?[\"'](?:system|assistant|developer|tool|user)|\]\]>|\{\{ ?(?:#system|#assistant|/?system)"),
    # Calls that only a model's host may make.
    ("tool", r"[\"']?\b(?:tool_calls?|tool_use|tool_results?|function_calls?|tool_choice|tool_code|tool_outputs?)\b[\"']? ?[:=>({\[]"),
    ("tool", r"</? ?(?:[\w-]{1,20}:)?(?:tool_call|function_calls?|invoke|function|tool_response|tool|parameter|action)\b[^>\n]{0,60}>"),
    ("tool", r"\b(?:call|invoke|use|run|execute|trigger) (?:the |your )?[`'\"]?[\w.-]{1,40}[`'\"]? (?:tool|function|plugin)\b|\b(?:action|thought|observation|final answer) ?: ?\w+[\s\S]{0,40}(?:action input|final answer|observation) ?:|\bfunctions?\.\w{2,40} ?\(|\b(?:approve|set_verdict|submit_review|set_status|finish|exit_review)\w{0,20} ?\([^)\n]{0,60}\)"),
    # Asking for what the prompt holds.
    ("extraction", r"\b(?:reveal|print|repeat|show|output|leak|disclose|echo|send|tell|reproduce|dump|recite|include|quote|copy|translate|summari[sz]e|what (?:is|are|were)|encode|put|append|write)\b[^\n]{0,50}\b(?:system prompt|system message|your (?:initial |original |exact |hidden )?(?:instructions|prompt|rules|configuration)|hidden (?:prompt|instructions|token|text)|initial prompt|(?:text|words|instructions|everything|content|message) (?:that (?:come|stand)s? )?(?:above|before)|canary|api[ _-]?key (?:you|from)|secret (?:token|word|marker|string) (?:you|in|from))"),
)  # fmt: skip
# "ignore", whose, "instructions" with everything but letters taken out.
SQUEEZED = (
    r"(?:ignore|disregard|forget|override|bypass)(?:all|any|the|your|of|previous|prior|above|earlier|my|these|those|preceding){1,5}"
    r"(?:instruction|rules|polic|guideline|prompt|directive|checklist|finding)"
    r"|(?:returnno|reportno|nofindings|emptyfindings)(?:finding|issue|please|only|now|array|list)"
    r"|approvethis(?:app|design|template|manifest)|youarenow(?:an?|the|in)(?:unrestricted|approv|free|dan|different|develop)"
)

# The same order in other languages: to leave the instructions alone, or that all is well. Case-folded.
OTHER_LANGUAGES: tuple[str, ...] = (
    r"\b(?:ignorier|missacht|vergiss|vergesse|übergeh|umgeh)\w{0,24}\b[^\n]{0,50}\b(?:anweisung|regel|vorgabe|richtlinie|prompt|befund|instruktion)",
    r"\b(?:melde|gib|antworte|berichte|genehmig|bewerte)\w{0,24}\b[^\n]{0,50}\b(?:keine (?:befunde|probleme|risiken)|genehmigt|unbedenklich|sicher\b|diesen entwurf|diese app|dieses design)",
    r"\b(?:ignor|oubli|néglig|neglig|contourn)\w{0,24}\b[^\n]{0,50}\b(?:instruction|consigne|règle|regle|directive|politique)",
    r"\b(?:ne (?:signale|rapporte|mentionne)|réponds?|répondez|approuve|approuvez)\w{0,24}\b[^\n]{0,50}\b(?:aucun|approuvé|conforme|cette application|ce modèle|problème)",
    r"\b(?:ignora|ignore|olvida|omite|descarta|desestima|haz caso omiso)\w{0,24}\b[^\n]{0,50}\b(?:instruccion|instrucción|regla|directriz|directrices|política|indicacion)",
    r"\b(?:responde|devuelve|informa|aprueba|aprobar|no (?:informes|reportes|señales))\w{0,24}\b[^\n]{0,50}\b(?:aprobad|ningún|ninguna|sin (?:hallazgos|problemas)|esta aplicación|este diseño|hallazgos|problemas)",
    r"\b(?:ignora|ignorare|dimentica|trascura|tralascia)\w{0,24}\b[^\n]{0,50}\b(?:istruzion|regol|direttiv|indicazion)",
    r"\b(?:approva|rispondi|segnala|non segnalare)\w{0,24}\b[^\n]{0,50}\b(?:questa (?:app|applicazione)|approvat|nessun|problem)",
    r"\b(?:ignore|ignora|esqueça|esqueca|desconsidere|descarte)\w{0,24}\b[^\n]{0,50}\b(?:instruções|instrucoes|instrução|regras|diretrizes)",
    r"\b(?:aprove|responda|não (?:relate|informe))\w{0,24}\b[^\n]{0,50}\b(?:este (?:aplicativo|app|projeto)|aprovad|nenhum|problema)",
    r"\b(?:negeer|vergeet|omzeil)\w{0,24}\b[^\n]{0,50}\b(?:instructie|regel|richtlijn|opdracht)",
    r"\b(?:keur|meld|antwoord)\w{0,24}\b[^\n]{0,50}\b(?:goed\b|geen (?:bevindingen|problemen)|goedgekeurd)",
    r"\b(?:zignoruj|ignoruj|pomiń|pomin|zapomnij)\w{0,24}\b[^\n]{0,50}\b(?:instrukcj|zasad|polecen|reguł|wytyczn)",
    r"\b(?:ignorera|bortse från|glöm)\b[^\n]{0,50}\b(?:instruktion|regler|anvisning|riktlinje)",
    r"\b(?:ignorer|glem|se bort fra)\b[^\n]{0,50}\b(?:instruks|regler|anvisning|retningslinje)",
    r"\b(?:ohita|unohda|jätä huomiotta)\b[^\n]{0,50}\b(?:ohje|sään|määräy)",
    r"\b(?:ignoruj|zapomeň|přehlížej)\w{0,24}\b[^\n]{0,50}\b(?:pokyn|instrukc|pravid)",
    r"\b(?:ignoră|uită|ignora)\w{0,24}\b[^\n]{0,50}\b(?:instrucțiun|regul)",
    r"\b(?:hagyd figyelmen kívül|felejtsd el)\b[^\n]{0,50}(?:utasítás|szabály)",
    r"(?:utasítás|szabály)\w{0,24}\b[^\n]{0,50}\bfigyelmen kívül",
    r"(?:talimat|kural|yönerge|komut)\w{0,24}[^\n]{0,40}(?:yok say|görmezden gel|unut|dikkate alma)",
    r"\b(?:abaikan|lupakan)\b[^\n]{0,50}\b(?:instruksi|aturan|perintah)",
    r"\b(?:bỏ qua|quên)\b[^\n]{0,50}(?:hướng dẫn|quy tắc|chỉ dẫn|lệnh)",
    r"(?:игнорир|проигнорир|забуд|не обращай внимания|пренебре)[^\n]{0,50}(?:инструкци|правил|указани|команд)",
    r"(?:одобр|ответь|сообщи)[^\n]{0,50}(?:это приложение|одобрено|нет (?:проблем|замечаний)|не найдено)",
    r"(?:ігнору|проігнору|забуд)[^\n]{0,50}(?:інструкці|правил|вказів)",
    r"(?:игнорирай|забрави)[^\n]{0,50}(?:инструкци|правила)",
    r"(?:αγνόησε|αγνοησε|ξέχασε|ξεχασε|αγνοήστε|αγνοηστε)[^\n]{0,50}(?:οδηγί|οδηγι|κανόν|κανον|εντολ)",
    r"(?:忽略|无视|無視|忘记|忘記|不要遵守|忽視)[^\n]{0,20}(?:指令|指示|规则|規則|说明|說明|提示|要求|政策)",
    r"(?:批准|通过|核准)(?:这个|此|该|本|這個)(?:应用|应用程序|设计|應用|模板|設計)|(?:报告|回答|返回|輸出|输出)[^\n]{0,10}(?:没有问题|無問題|无风险|已批准|没有发现)",
    r"(?:指示|命令|ルール|規則|プロンプト|指令)[^\n]{0,15}(?:無視|忘れ|従わない)",
    r"(?:このアプリ|この設計|本アプリ)[^\n]{0,15}(?:承認|問題なし|安全)",
    r"(?:지시|지침|규칙|명령|프롬프트)[^\n]{0,15}(?:무시|잊|따르지)",
    r"(?:تجاهل|انس|انسَ|تجاوز)[^\n]{0,40}(?:تعليمات|التعليمات|قواعد|القواعد|الأوامر|السابقة)",
    r"(?:התעלם|התעלמי|שכח)[^\n]{0,40}(?:הוראות|ההוראות|כללים|הכללים)",
    r"(?:निर्देश|नियम|आदेश)[^\n]{0,40}(?:अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल)|(?:अनदेखा|भूल)[^\n]{0,40}(?:निर्देश|नियम)",
    r"(?:নির্দেশ|নিয়ম)[^\n]{0,40}(?:উপেক্ষা|ভুলে)",
    r"(?:دستورالعمل|دستورات|قوانین)[^\n]{0,40}(?:نادیده|فراموش)|(?:نادیده|فراموش)[^\n]{0,40}(?:دستور|قوانین)",
    r"(?:ละเว้น|เพิกเฉย|ไม่ต้องสนใจ|ลืม)[^\n]{0,40}(?:คำสั่ง|คำแนะนำ|กฎ)",
    r"\b(?:puuza|sahau)\b[^\n]{0,50}\b(?:maagizo|maelekezo|sheria)",
)  # fmt: skip
# Those in Latin letters are looked for without accents as well; the others only where such letters stand.
LATIN: tuple[str, ...] = tuple(source for source in OTHER_LANGUAGES if max(source) < "\u0250")
FOREIGN: tuple[str, ...] = tuple(source for source in OTHER_LANGUAGES if max(source) >= "\u0250")
