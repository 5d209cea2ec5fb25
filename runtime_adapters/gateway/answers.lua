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
    local digits, tail = run:gsub("%D", ""), run:match("%D*$")
    if #digits < 8 or #digits > 15 then return nil end
    return "[phone]" .. tail
  end))
end

local MASKS = {email = emails, iban = ibans, card = cards, ssn = ssns, phone = phones}
local ORDER = {"email", "iban", "card", "ssn", "phone"}

local function masked(text, kinds, card_mark)
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

-- The characters of a JSON string as themselves, where they may stand so; the other escapes stay.
local function plain_string(text)
  return (text:gsub("\\(.)(%x?%x?%x?%x?)", function(sort, hex)
    if sort == "/" then return "/" .. hex end
    if sort ~= "u" or #hex ~= 4 then return nil end
    local code = tonumber(hex, 16)
    if code < 0x20 or code == 0x22 or code == 0x5C or (code >= 0xD800 and code <= 0xDFFF) then return nil end
    return utf8(code)
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
  local out, at = {}, 1
  while true do
    local open = text:find('"', at, true)
    local between = text:sub(at, open and open - 1)
    -- Valid JSON has nothing but numbers here; what is not valid is looked into all the same.
    out[#out + 1] = masked(between, kinds, '"[card]"')
    if open == nil then return table.concat(out) end
    local close = string_end(text, open + 1)
    if close == nil then
      out[#out + 1] = masked(text:sub(open), kinds)
      return table.concat(out)
    end
    out[#out + 1] = '"' .. masked_string(text:sub(open + 1, close - 1), kinds) .. '"'
    at = close + 1
  end
end

-- Text is looked into; pictures, sound and fonts pass as they are; anything else could hold what we do not see.
local function sort_of(content_type)
  if content_type == nil then return nil end
  local kind = content_type:lower():match("^%s*([^;%s]*)")
  local charset = content_type:lower():match('charset%s*=%s*"?([^;%s"]*)')
  if charset and charset ~= "utf-8" and charset ~= "us-ascii" and charset ~= "iso-8859-1" then return nil end
  if kind == "application/json" or kind:find("%+json$") or kind == "application/x-ndjson" then return "json" end
  if kind:find("^text/") or kind:find("%+xml$") or kind == "application/xml" or kind == "application/javascript"
    or kind == "application/x-www-form-urlencoded" then return "text" end
  if (kind:find("^image/") or kind:find("^font/") or kind:find("^audio/") or kind:find("^video/")) then return "opaque" end
  return nil
end

local function withhold(handle, body, code)
  local headers = handle:headers()
  local length = body:setBytes('{"type":"about:blank","status":502,"code":"' .. code .. '"}')
  for _, name in ipairs({"content-encoding", "content-range", "etag", "set-cookie", "location"}) do headers:remove(name) end
  headers:replace(":status", "502")
  headers:replace("content-type", "application/problem+json")
  headers:replace("content-length", tostring(length))
end

function envoy_on_request(handle)
  local route = handle:metadata()
  if route:get("redact") or route:get("most") then
    for _, name in ipairs({"accept-encoding", "range", "if-range"}) do handle:headers():remove(name) end
    -- The answer belongs to the route that asked: a header that a later filter changes cannot move it to another one.
    handle:streamInfo():dynamicMetadata():set("answers", "redact", route:get("redact") or "")
    handle:streamInfo():dynamicMetadata():set("answers", "most", route:get("most") or 0)
  end
end

-- The answer as it may leave, or nil and why not.
local function looked_into(text, wanted, encoding, content_types, content_type)
  if wanted.redact == "" then return text end
  if encoding ~= nil and encoding:lower() ~= "identity" then return nil, "answer_encoded" end
  local sort = content_types == 1 and sort_of(content_type)
  if not sort then return nil, "answer_not_readable" end
  if sort == "opaque" then return text end
  local kinds = {}
  for kind in wanted.redact:gmatch("[^,]+") do kinds[kind] = true end
  return sort == "json" and masked_json(text, kinds) or masked(text, kinds)
end

function envoy_on_response(handle)
  local wanted = handle:streamInfo():dynamicMetadata():get("answers")
  if wanted == nil then return end
  local body = handle:body()
  if body == nil or body:length() == 0 then return end
  -- Only now: what was taken from the handle before it waited for the body is no longer valid.
  local headers = handle:headers()
  if wanted.most > 0 and body:length() > wanted.most then return withhold(handle, body, "answer_too_large") end
  local text = body:getBytes(0, body:length())
  -- A script that fails lets the answer through as it is; so nothing here may fail.
  local is_done, clean, why = pcall(
    looked_into, text, wanted, headers:get("content-encoding"), headers:getNumValues("content-type"), headers:get("content-type")
  )
  if not is_done or clean == nil then return withhold(handle, body, is_done and why or "answer_not_readable") end
  if clean ~= text then
    headers:replace("content-length", tostring(body:setBytes(clean)))
    for _, name in ipairs({"etag", "digest", "content-digest", "content-md5"}) do headers:remove(name) end
  end
end
