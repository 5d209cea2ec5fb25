-- Who calls: a key whose hash is known, or a token that jwt_authn has verified before. Sets the headers that RBAC, the decision
-- service and the app read. The two tables below are filled in by `filters.py`; every word in them has a checked form.
-- A key counts with its secret's SHA-256 (FIPS 180-4) alone; the secret is kept nowhere. A known one is hashed once a worker.
local NONE, NOBODY = "-", {apps = "-"}
local function some(word) if word ~= NONE then return word end end
local KEYS = {}
for id, sha256, role, tenant, apps, expires in ([[@KEYS@]]):gmatch("(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)\n") do
  KEYS[id] = {sha256 = sha256, role = some(role), tenant = some(tenant), apps = apps, expires = tonumber(expires)}
end
local PROVIDERS = {}
for name, role, tenant, fixed in ([[@PROVIDERS@]]):gmatch("(%S+) (%S+) (%S+) (%S+)\n") do
  PROVIDERS[#PROVIDERS + 1] = {name = name, role = role, tenant = tenant, fixed = some(fixed)}
end

local band, bnot, bxor, ror, shr, tobit, tohex = bit.band, bit.bnot, bit.bxor, bit.ror, bit.rshift, bit.tobit, bit.tohex

local ROUNDS, START = {}, {}
do
  local prime = 2
  while #ROUNDS < 64 do
    local is_prime = true
    for divisor = 2, math.floor(math.sqrt(prime)) do
      if prime % divisor == 0 then is_prime = false break end
    end
    if is_prime then
      ROUNDS[#ROUNDS + 1] = tobit(math.floor(prime ^ (1 / 3) % 1 * 2 ^ 32))
      if #START < 8 then START[#START + 1] = tobit(math.floor(math.sqrt(prime) % 1 * 2 ^ 32)) end
    end
    prime = prime + 1
  end
end

local function word(text, at)
  local a, b, c, d = text:byte(at, at + 3)
  return bit.bor(bit.lshift(a, 24), bit.lshift(b, 16), bit.lshift(c, 8), d)
end

-- Of at most 2^28 bytes.
local function sha256(text)
  local bits = #text * 8
  local length = string.char(shr(bits, 24), band(shr(bits, 16), 255), band(shr(bits, 8), 255), band(bits, 255))
  text = text .. "\128" .. ("\0"):rep((55 - #text) % 64) .. "\0\0\0\0" .. length
  local state, w = {unpack(START)}, {}
  for block = 1, #text, 64 do
    for i = 1, 16 do w[i] = word(text, block + (i - 1) * 4) end
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      local s0 = bxor(ror(x, 7), ror(x, 18), shr(x, 3))
      local s1 = bxor(ror(y, 17), ror(y, 19), shr(y, 10))
      w[i] = tobit(w[i - 16] + s0 + w[i - 7] + s1)
    end
    local a, b, c, d, e, f, g, h = unpack(state)
    for i = 1, 64 do
      local s1 = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
      local choice = bxor(band(e, f), band(bnot(e), g))
      local t1 = tobit(h + s1 + choice + ROUNDS[i] + w[i])
      local s0 = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
      local t2 = tobit(s0 + bxor(band(a, b), band(a, c), band(b, c)))
      a, b, c, d, e, f, g, h = tobit(t1 + t2), a, b, c, tobit(d + t1), e, f, g
    end
    for i, value in ipairs({a, b, c, d, e, f, g, h}) do state[i] = tobit(state[i] + value) end
  end
  for i = 1, 8 do state[i] = tohex(state[i]) end
  return table.concat(state)
end

local known = {}

local function key_of(presented)
  local key = known[presented]
  if key == nil then
    local id, secret = presented:match("^gk_(%x+)_(%x+)$")
    key = id and KEYS[id]
    if not key or #secret ~= 64 or sha256(secret) ~= key.sha256 then return nil end
    key.subject = "key:" .. id
    known[presented] = key
  end
  if key.expires > 0 and key.expires <= os.time() then return nil end
  return key
end

local function text_or_nil(value)
  if type(value) ~= "string" or #value == 0 or #value > 256 or value:find("[^\33-\126]") then return nil end
  return value
end

-- jwt_authn writes the claims that it has verified on this very call into this header; taking the same text apart a second time
-- says nothing new. Where it verified nothing there is no such header: a caller's own is taken off before.
local VERIFIED, MOST_TOKENS = "x-governance-verified", 1000
local tokens, count = {}, 0

local function read_token(handle)
  local verified = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
  if verified == nil then return nil end
  for _, provider in ipairs(PROVIDERS) do
    local claims = verified[provider.name]
    if claims ~= nil then
      return {
        subject = text_or_nil(claims.sub), role = text_or_nil(claims[provider.role]),
        tenant = provider.fixed or text_or_nil(claims[provider.tenant]), apps = NONE,
      }
    end
  end
  return nil
end

local function token_of(handle, headers)
  local said = headers:get(VERIFIED)
  if said == nil then return nil end
  headers:remove(VERIFIED)
  local who = tokens[said]
  if who == nil then
    who = read_token(handle)
    if count >= MOST_TOKENS then tokens, count = {}, 0 end
    tokens[said], count = who, count + 1
  end
  return who
end

-- What a route says, as `filters.py` writes it into one text; each text is taken apart once a worker.
local routes = {}

local function route_of(handle)
  local said = handle:metadata():get("route") or ""
  local route = routes[said]
  if route == nil then
    route = {}
    for name, value in said:gmatch("(%l+)=(%S+)") do route[name] = value end
    routes[said] = route
  end
  return route
end

-- What upstreams read differently from us: a dot segment with something behind it, a backslash, an encoded dot or control
-- character, what is no percent-encoding (RFC 3986, 2.1) or, decoded, never UTF-8 (RFC 3629, 3).
local function is_ambiguous(path)
  if not path:find("[\\;%%]") then return false end
  path = path:match("^[^?]*")
  return path:find("\\", 1, true) or path:find("/%.%.?[;%%]") or path:find("%%2[eE]") or path:find("%%[01]%x")
    or path:find("%%7[fF]") or path:find("%%5[cC]") or path:find("%%25%x%x") or path:find("%%%X") or path:find("%%%x%X")
    or path:find("%%%x?$") or path:find("%%[cC][01]") or path:find("%%[fF][5-9a-fA-F]")
end

-- A route is found by the name alone, whatever stands behind a colon; an app may build addresses of it.
local function is_host(authority)
  return authority:find("^[%w%.%-]+$") or authority:find("^[%w%.%-]+:%d%d?%d?%d?%d?$") or authority:find("^%[[%x:%.]+%]:?%d*$")
end

-- Who it is, or nil, a status and a code.
local function identify(handle, headers, route)
  if is_ambiguous(headers:get(":path") or "\\") then return nil, "400", "ambiguous_path" end
  if not is_host(headers:get(":authority") or "") then return nil, "400", "ambiguous_host" end
  -- It would show the caller, or a script in the caller's browser, what the gateway wrote into the request.
  if headers:get(":method") == "TRACE" then return nil, "405", "method_not_allowed" end
  -- Of several values, `get` makes one with commas, which stand in no key.
  local presented, tokens, who = headers:get("x-api-key"), headers:getNumValues("authorization"), nil
  if tokens > 1 or (presented ~= nil and presented:find(",", 1, true)) then return nil, "401", "several_credentials" end
  -- jwt_authn has taken the header of a good one off.
  if #PROVIDERS > 0 then who = token_of(handle, headers) end
  if presented ~= nil then
    headers:remove("x-api-key")
    if who ~= nil then return nil, "401", "several_credentials" end
    who = key_of(presented)
    if who == nil then return nil, "401", "key_not_known" end
  end
  if who == nil then
    if route.public ~= "yes" then return nil, "401", "no_credential" end
    return NOBODY
  end
  if who.apps ~= NONE and not (route.app and ("," .. who.apps .. ","):find("," .. route.app .. ",", 1, true)) then
    return nil, "403", "key_of_another_app"
  end
  return who
end

local function refuse(handle, status, code)
  local body = '{"type":"about:blank","status":' .. status .. ',"code":"' .. code .. '"}'
  handle:respond({[":status"] = status, ["content-type"] = "application/problem+json"}, body)
end

-- One trace from here to the last call out (W3C Trace Context): the caller's, or one that begins with the request's id.
local function trace(headers)
  local given = headers:get("traceparent")
  if given ~= nil then
    local named, span = given:match("^[%da-f][%da-f]%-([%da-f]+)%-([%da-f]+)%-[%da-f][%da-f]$")
    if named ~= nil and #named == 32 and #span == 16 then return end
  end
  local id = headers:get("x-request-id") or ""
  id = (id:sub(1, 8) .. id:sub(10, 13) .. id:sub(15, 18) .. id:sub(20, 23) .. id:sub(25)):lower()
  if #id ~= 32 or id:find("%X") then return end
  headers:replace("traceparent", "00-" .. id .. "-" .. id:sub(17) .. "-00")
end

-- Whatever a caller wrote under these names is gone afterwards: rules behind this script go by them.
local function say(headers, name, value)
  if value ~= nil then headers:replace(name, value) else headers:remove(name) end
end

local function admit(handle, headers)
  local route = route_of(handle)
  local who, status, code = identify(handle, headers, route)
  if who == nil then return status, code end
  say(headers, "x-subject", who.subject)
  say(headers, "x-role", who.role)
  say(headers, "x-tenant", who.tenant)
  if route.app ~= nil then
    say(headers, "x-app", route.app)
    say(headers, "x-region", route.region)
  end
  -- What of a decision is carried out behind the question; whoever asks says so, and the service refuses where more is needed.
  say(headers, "x-governance-carries", route.carries)
  if route.cohorts == "yes" then handle:clearRouteCache() end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  -- A script that fails lets the call go on; so a failure here is a no.
  local is_done, status, code = pcall(admit, handle, headers)
  pcall(trace, headers)
  if not is_done then return refuse(handle, "503", "not_identified") end
  if status ~= nil then return refuse(handle, status, code) end
end
