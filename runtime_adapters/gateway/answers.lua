-- What leaves: personal values are cut out of text, and an answer that cannot be looked into does not leave at all.
-- Linear in the length of the answer whatever it holds: no pattern here can go back over more than a few dozen characters.
local IBAN = {
  AD = 24, AE = 23, AL = 28, AT = 20, AZ = 28, BA = 20, BE = 16, BG = 22, BH = 22, BR = 29, CH = 21, CR = 22, CY = 28, CZ = 24,
  DE = 22, DK = 18, DO = 28, EE = 20, ES = 24, FI = 18, FO = 18, FR = 27, GB = 22, GE = 22, GI = 23, GL = 18, GR = 27, GT = 28,
  HR = 21, HU = 28, IE = 22, IL = 23, IS = 26, IT = 27, JO = 30, KW = 30, KZ = 20, LB = 28, LI = 21, LT = 20, LU = 20, LV = 21,
  MC = 27, MD = 24, ME = 22, MK = 19, MT = 31, MU = 30, NL = 18, NO = 15, PK = 24, PL = 28, PS = 29, PT = 25, QA = 29, RO = 24,
  RS = 22, SA = 24, SE = 24, SI = 19, SK = 24, SM = 27, TN = 24, TR = 26, UA = 29, VG = 24, XK = 20,
}

local function luhn(digits)
  local sum = 0
  for i = 0, #digits - 1 do
    local digit = digits:byte(#digits - i) - 48
    if i % 2 == 1 then
      digit = digit * 2
      if digit > 9 then digit = digit - 9 end
    end
    sum = sum + digit
  end
  return sum % 10 == 0
end

-- 13 to 19 digits that begin and end with a group of the run and pass the check digit.
local function cards_in(run, mark)
  local out, from, at = {}, 1, 1
  while true do
    local first = run:find("%d", at)
    if first == nil then break end
    local digits, last, found = "", first - 1, nil
    while #digits < 20 do
      local _, stop, group = run:find("^[ -]?(%d+)", last + 1)
      if stop == nil then break end
      digits, last = digits .. group, stop
      if #digits >= 13 and #digits <= 19 and digits:find("^[2-6]") and luhn(digits) then found = last end
    end
    if found then
      out[#out + 1] = run:sub(from, first - 1) .. mark
      from, at = found + 1, found + 1
    else
      at = (run:find("%D", first) or #run) + 1
    end
  end
  return table.concat(out) .. run:sub(from)
end

local function cards(text, mark)
  return (text:gsub("%f[%d]%d[%d -]*", function(run) return cards_in(run, mark) end))
end

local LOCAL, DOMAIN = "[%w%.!#$&'*+/=?^_`{|}~\128-\255-]", "[%w%.\128-\255-]"

local function emails(text)
  local out, from, at = {}, 1, 1
  while true do
    local sign, stop = text:find("[@%%]", at), nil
    if sign == nil then break end
    if text:sub(sign, sign) == "@" then stop = sign elseif text:sub(sign + 1, sign + 2) == "40" then stop = sign + 2 end
    at = sign + 1
    if stop ~= nil then
      local first, last = sign, stop
      while first > from and text:find("^" .. LOCAL, first - 1) do first = first - 1 end
      while text:find("^" .. DOMAIN, last + 1) do last = last + 1 end
      while last > stop and text:find("^[%.-]", last) do last = last - 1 end
      if first < sign and text:sub(stop + 1, last):find("%.[%a\128-\255][%w\128-\255-]*$") then
        out[#out + 1] = text:sub(from, first - 1) .. "[email]"
        from, at = last + 1, last + 1
      end
    end
  end
  return table.concat(out) .. text:sub(from)
end

local function is_iban(text)
  local moved, rest = text:sub(5) .. text:sub(1, 4), 0
  for i = 1, #moved do
    local value = tonumber(moved:sub(i, i), 36)
    rest = (rest * (value > 9 and 100 or 10) + value) % 97
  end
  return rest == 1
end

local function ibans(text)
  local out, from, at = {}, 1, 1
  while true do
    local first = text:find("%f[%w]%a%a%d%d", at)
    if first == nil then break end
    local wanted = IBAN[text:sub(first, first + 1):upper()]
    local last, plain = first - 1, ""
    while wanted and #plain < wanted do
      local _, stop, char = text:find("^[ -]?(%w)", last + 1)
      if stop == nil then break end
      plain, last = plain .. char:upper(), stop
    end
    if wanted and #plain == wanted and is_iban(plain) then
      out[#out + 1] = text:sub(from, first - 1) .. "[iban]"
      from, at = last + 1, last + 1
    else
      at = first + 1
    end
  end
  return table.concat(out) .. text:sub(from)
end

local function ssns(text)
  return (text:gsub("%f[%w]%d%d%d%-%d%d%-%d%d%d%d%f[%W]", "[ssn]"))
end

local function phones(text)
  return (text:gsub("%+%d[%d ()./-]*", function(run)
    local digits = run:gsub("%D", "")
    if #digits < 8 or #digits > 15 then return nil end
    -- Up to the last digit in one go: what is tried from every place, to find the end, goes over all blanks each time.
    return "[phone]" .. run:sub(#run:match("^.*%d") + 1)
  end))
end

local MASKS = {email = emails, iban = ibans, card = cards, ssn = ssns, phone = phones}
local ORDER = {"email", "iban", "card", "ssn", "phone"}
-- Whether there is a digit behind another in a way that an IBAN or a card number has: two after two letters, or thirteen with
-- no more than one blank or dash between each. Byte by byte, which LuaJIT makes machine code of.
local function has_run_of_digits(text)
  local run, last = 0, -1
  for at = 1, #text do
    local byte = text:byte(at)
    if byte >= 48 and byte <= 57 then
      local gap = at - last
      if gap == 1 then
        run = run + 1
        if at > 3 and text:find("^%a%a", at - 3) then return true end
      elseif gap == 2 and (text:byte(at - 1) == 32 or text:byte(at - 1) == 45) then
        run = run + 1
      else
        run = 1
      end
      if run == 13 then return true end
      last = at
    end
  end
  return false
end

-- Whether a mask could find something: every value of a kind has what is looked for here. Most texts hold nothing, and are left
-- as they are without being taken apart. Plain texts are found a hundred times faster than patterns.
local function may_hold(text, kinds)
  return kinds.email and (text:find("@", 1, true) or text:find("%40", 1, true))
    or kinds.phone and text:find("+", 1, true) and text:find("%+%d")
    or kinds.ssn and text:find("-", 1, true) and text:find("%d%d%d%-%d%d%-%d%d%d%d")
    or (kinds.iban or kinds.card) and has_run_of_digits(text)
end

local function masked(text, kinds, card_mark)
  if not may_hold(text, kinds) then return text end
  for _, kind in ipairs(ORDER) do
    if kinds[kind] then text = MASKS[kind](text, card_mark or "[card]") end
  end
  return text
end

local function utf8(code)
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64) end
  return string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

-- The characters of a JSON string as themselves, where they may stand so; the other escapes stay, as do angle brackets: in no
-- value, and what may be escaped to keep a browser from reading it as a tag. In a script or a page (`is_guarded`), more could
-- end a string or begin something.
local function plain_string(text, is_guarded)
  return (text:gsub("\\(.)(%x?%x?%x?%x?)", function(sort, hex)
    if sort == "/" and not is_guarded then return "/" .. hex end
    if sort ~= "u" or #hex ~= 4 then return nil end
    local code = tonumber(hex, 16)
    if code < 0x20 or (code >= 0xD800 and code <= 0xDFFF) then return nil end
    local char = utf8(code)
    if char:find('["\\<>]') or (is_guarded and char:find("['`&$]")) then return nil end
    return char
  end))
end

-- The stretches of a text between quotes, brackets and ends of lines, each without its escapes where those hid a value.
local function masked_escapes(text, kinds)
  if not text:find("\\u", 1, true) then return text end
  return (text:gsub("[^\"'`<>\n]+", function(piece)
    if not piece:find("\\u", 1, true) then return nil end
    local plain = plain_string(piece, true)
    local clean = masked(plain, kinds)
    if clean ~= plain then return clean end
  end))
end

local function masked_string(text, kinds)
  text = plain_string(text)
  local out, at = {}, 1
  while true do
    local escape = text:find("\\", at, true)
    if escape == nil then break end
    local next_at = escape + (text:sub(escape + 1, escape + 1) == "u" and 6 or 2)
    out[#out + 1] = masked(text:sub(at, escape - 1), kinds) .. text:sub(escape, next_at - 1)
    at = next_at
  end
  return table.concat(out) .. masked(text:sub(at), kinds)
end

local function string_end(text, at)
  while true do
    local stop = text:find('["\\]', at)
    if stop == nil or text:sub(stop, stop) == '"' then return stop end
    at = stop + 2
  end
end

local function masked_json(text, kinds)
  -- Two escapes hide characters that the masks look for; every other one stays, and only ends what could be a value.
  if not (text:find("\\u", 1, true) or text:find("\\/", 1, true) or may_hold(text, kinds)) then return text end
  local out, at = {}, 1
  while true do
    local open = text:find('"', at, true)
    local between = text:sub(at, open and open - 1)
    -- Valid JSON has nothing but numbers here; what is not valid is looked into all the same.
    out[#out + 1] = masked(masked_escapes(between, kinds), kinds, '"[card]"')
    if open == nil then return table.concat(out) end
    local close = string_end(text, open + 1)
    if close == nil then
      out[#out + 1] = masked(masked_escapes(text:sub(open), kinds), kinds)
      return table.concat(out)
    end
    out[#out + 1] = '"' .. masked_string(text:sub(open + 1, close - 1), kinds) .. '"'
    at = close + 1
  end
end

-- Whoever reads JSON or a script whatever it is called has its escapes. Where they hide nothing, they stay.
local function masked_text(text, kinds)
  if text:gsub("^\239\187\191", ""):find("^%s*[%[{]") then
    local clean = masked_json(text, kinds)
    if clean ~= masked_json(text, {}) then text = clean end
  end
  return masked(masked_escapes(text, kinds), kinds)
end

-- Text is looked into; pictures, sound and fonts pass as they are; anything else could hold what we do not see.
local function sort_of(content_type)
  if content_type == nil then return nil end
  local kind = content_type:lower():match("^%s*([^;%s]*)")
  local charset = content_type:lower():match('charset%s*=%s*"?([^;%s"]*)')
  if charset and charset ~= "utf-8" and charset ~= "us-ascii" and charset ~= "iso-8859-1" then return nil end
  if kind == "application/json" or kind == "text/json" or kind:find("%+json$") or kind == "application/x-ndjson" then
    return "json"
  end
  if kind:find("^text/") or kind:find("%+xml$") or kind == "application/xml" or kind == "application/javascript"
    or kind == "application/x-www-form-urlencoded" then return "text" end
  if (kind:find("^image/") or kind:find("^font/") or kind:find("^audio/") or kind:find("^video/")) then return "opaque" end
  return nil
end

-- Whether a reader may take it for UTF-16 or UTF-32, whatever its type says: a mark of their order at the beginning goes before a
-- charset (WHATWG Encoding, 6; RFC 4627, 3 for JSON without one), and every letter that a mask looks for has a NUL beside it.
local function is_wide(text)
  local mark = text:sub(1, 2)
  return mark == "\254\255" or mark == "\255\254" or text:find("\0", 1, true) ~= nil
end

-- Which no app writes: Envoy does, or the decision service. The last one only an answer of an app has.
local FROM_APP = "x-envoy-upstream-service-time"
local NOT_THE_APP_S = {[":status"] = true, ["x-decision-id"] = true, [FROM_APP] = true}
-- Set by the route, whatever the app said.
local HARDENED = {
  ["x-content-type-options"] = true, ["x-frame-options"] = true, ["referrer-policy"] = true,
  ["cross-origin-resource-policy"] = true, ["strict-transport-security"] = true,
}

-- With none of the app's headers: nobody has looked into them.
local function withhold(handle, code)
  local headers, names = handle:headers(), {}
  for name in pairs(headers) do
    if name:sub(1, 1) ~= ":" and not NOT_THE_APP_S[name] and not HARDENED[name] then names[#names + 1] = name end
  end
  for _, name in ipairs(names) do headers:remove(name) end
  local length = handle:body(true):setBytes('{"type":"about:blank","status":502,"code":"' .. code .. '"}')
  headers:replace(":status", "502")
  headers:replace("content-type", "application/problem+json")
  headers:replace("content-length", tostring(length))
end

local function decoded(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Of one header. Nil where it holds something that is written in percents: it is dropped, since nobody knows who reads it how.
local function masked_value(value, kinds)
  local clean = masked(value, kinds)
  if not clean:find("%%%x%x") and not clean:find("+", 1, true) then return clean end
  for _, blank in ipairs({" ", "+"}) do
    local found = decoded((clean:gsub("%+", blank)))
    if masked(found, kinds) ~= found then return nil end
  end
  return clean
end

local function mask_headers(headers, kinds)
  local values, by_name = {}, {}
  for _, value in pairs(headers) do values[#values + 1] = value end
  local all = table.concat(values, "\n")
  if not (may_hold(all, kinds) or all:find("%", 1, true) or all:find("+", 1, true)) then return end
  for name, value in pairs(headers) do
    if not NOT_THE_APP_S[name] then
      by_name[name] = by_name[name] or {}
      table.insert(by_name[name], value)
    end
  end
  for name, said in pairs(by_name) do
    local clean, is_same = {}, true
    for _, value in ipairs(said) do
      local left = masked_value(value, kinds)
      clean[#clean + 1], is_same = left, is_same and left == value
    end
    if not is_same then
      headers:remove(name)
      for _, value in ipairs(clean) do headers:add(name, value) end
    end
  end
end

-- By what a route says; each text is taken apart once a worker.
local wishes = {}

local function kinds_of(said)
  local kinds = wishes[said]
  if kinds == nil then
    kinds = {}
    for kind in said:gmatch("[^,]+") do kinds[kind] = true end
    wishes[said] = kinds
  end
  return kinds
end

-- What may leave of a body, or nil and why not.
local function looked_into(text, kinds, headers)
  local encoding = headers:get("content-encoding")
  if encoding ~= nil and encoding:lower() ~= "identity" then return nil, "answer_encoded" end
  local sort = headers:getNumValues("content-type") == 1 and sort_of(headers:get("content-type"))
  if not sort then return nil, "answer_not_readable" end
  if sort == "opaque" then return text end
  if is_wide(text) then return nil, "answer_not_readable" end
  return sort == "json" and masked_json(text, kinds) or masked_text(text, kinds)
end

-- Nil where the answer may leave as it is now, or why it may not.
local function clean(handle)
  local body = handle:body()
  -- Only now: what was taken from the handle before it waited for the body is no longer valid.
  local route, headers = handle:metadata(), handle:headers()
  -- What the gateway says itself is the decision service's or its own.
  if headers:get(FROM_APP) == nil then return nil end
  headers:remove(FROM_APP)
  local most, redact, length = route:get("most"), route:get("redact"), body and body:length() or 0
  local kinds, text, left, why = redact and kinds_of(redact), nil, nil, nil
  if most ~= nil and length > most then return "answer_too_large" end
  if kinds == nil then return nil end
  if length > 0 then
    text = body:getBytes(0, length)
    -- Before the headers are: a type with a value in it would be another one.
    left, why = looked_into(text, kinds, headers)
    if left == nil then return why end
  end
  mask_headers(headers, kinds)
  if left ~= text then
    headers:replace("content-length", tostring(body:setBytes(left)))
    for _, name in ipairs({"etag", "digest", "content-digest", "content-md5"}) do headers:remove(name) end
  end
end

function envoy_on_response(handle)
  -- A script that fails lets the answer through as it is; so a failure here keeps it back.
  local is_done, why = pcall(clean, handle)
  if not is_done then why = "answer_not_readable" end
  if why ~= nil then withhold(handle, why) end
end
