"""Stems of which one stands, in some spelling, in every text that the patterns of `injection_phrases` find something in."""

_TEXT = """
abaikan abandon above acceptall acceptany acceptmy acceptth actas actioninput actlike agame allowall allowed
allowlist allowmy allowth analys answer antwoord antworte apikey approuv approv approva aprob aprove aprueb
arecancel arevoid assess assistant astory audited auditorbot automatedreview avoid beginof behave benign benow
bergeh berichte bewerte bortse bypass canary casoomiso certif chatbot checks classify claude cleared clearth
compliant concern consider contourn copilot danmode debugmode deem descart desconsider desestima devuelve dimentic
directive discard disregard doanythingnow doesnot donot dont downgrad empty endof esque evaluat eviltwin exempt
exitreview expired fictional figyelmen filters finalanswer finding finish flagas flagth forget fortherestof
fromnowon functioncall functions gemini genehmig glem godmode gormezden gpt grandm greenlight harmless henceforth
hereby hidden hypothetical ifyou ignor imagine informational informe initialprompt insteadof instruction issue
jailbr judge keur languagemodel latefather latemother letsplay lgtm limitations llm lowerth lupakan markall markas
markit markth maynot melde minor missacht modeactivated modeenabled modelreading modelthatreads modeon mustnot
negeer neglect negli never neworders nolonger objection observation ohita olvida omite omzeil oppositeday oubli
outdated outofscope overrid overrul passall passed passmy passth paynoattention pomin pretend priority problem puuza
rateall rateas rateit rateth refrain regard repond respond responda responde restrictions review reviewingmodel
revoked risk rispondi roleplay safe sahau scoreth scrutiny sebort secretmarker secretstring secrettoken secretword
segnala setaside setstatus severity shouldnot signedoff signoff simulat speakas speaklike startingnow startof
stopappl stopfollow stopobey stopus submitreview supersed suppose suspend systemmessage systemprompt thefunction
thegame theplugin thestory thetool thoughtexperiment threat tool toolcall toolchoice toolcode tooloutput
toolresponse toolresult tooluse tralascia trascura treat trusted uita umgeh unohda unrestricted unut verdict vergeet
vergesse vergiss verified vetted vulnerab wavethrough weareplaying weplay whitelist whoever yoksay youarenow younow
yourconfig yourenow yourexact yourfunction yourhidden yourinitial yourorders youroriginal yourprompt yourrules
yourtool zapomn
"""
STEMS: tuple[str, ...] = tuple(_TEXT.split())
