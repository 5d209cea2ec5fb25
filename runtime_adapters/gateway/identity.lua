-- Who calls: a key whose hash is known, or a token that jwt_authn has verified before. Sets `gateway` metadata for RBAC and the
-- headers that the app reads. The two tables below are filled in by `filters.py`; every word in them has a checked form.
-- A key counts with its secret's SHA-256 (FIPS 180-4) alone; the secret is kept nowhere. A known one is hashed once a worker.
local KEYS = {}
for id, sha256, role, tenant, apps, expires in ([[@KEYS@]]):gmatch("(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)\n") do
  KEYS[id] = {sha256 = sha256, role = role, tenant = tenant, apps = apps, expires = tonumber(expires)}
end
local PROVIDERS = {}
for name, role, tenant, fixed in ([[@PROVIDERS@]]):gmatch("(%S+) (%S+) (%S+) (%S+)\n") do
  PROVIDERS[#PROVIDERS + 1] = {name = name, role = role, tenant = tenant, fixed = fixed}
end
local NONE = "-"

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

local function token_of(handle)
  local verified = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
  if verified == nil then return nil end
  for _, provider in ipairs(PROVIDERS) do
    local claims = verified[provider.name]
    if claims ~= nil then
      local tenant = provider.fixed ~= NONE and provider.fixed or text_or_nil(claims[provider.tenant])
      return {
        subject = text_or_nil(claims.sub) or NONE, role = text_or_nil(claims[provider.role]) or NONE,
        tenant = tenant or NONE, apps = NONE,
      }
    end
  end
  return nil
end

local function refuse(handle, status, code)
  local body = '{"type":"about:blank","status":' .. status .. ',"code":"' .. code .. '"}'
  handle:respond({[":status"] = status, ["content-type"] = "application/problem+json"}, body)
end

-- What upstreams read differently from us: a dot segment with something behind it, a backslash, an encoded dot or control
-- character, what is no percent-encoding (RFC 3986, 2.1) or, decoded, never UTF-8 (RFC 3629, 3).
local function is_ambiguous(path)
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
  if headers:getNumValues("x-api-key") > 1 or headers:getNumValues("authorization") > 1 then
    return nil, "401", "several_credentials"
  end
  local presented, who, app = headers:get("x-api-key"), token_of(handle), route:get("app")
  headers:remove("x-api-key")
  if presented ~= nil then
    if who ~= nil then return nil, "401", "several_credentials" end
    who = key_of(presented)
    if who == nil then return nil, "401", "key_not_known" end
  end
  if who == nil then
    if app == nil or not route:get("is_public") then return nil, "401", "no_credential" end
    who = {subject = NONE, role = NONE, tenant = NONE, apps = NONE}
  end
  if who.apps ~= NONE and not (app and ("," .. who.apps .. ","):find("," .. app .. ",", 1, true)) then
    return nil, "403", "key_of_another_app"
  end
  return who
end

-- One trace from here to the last call out (W3C Trace Context): the caller's, or one that begins with the request's id.
local function trace(headers)
  local named, span = (headers:get("traceparent") or ""):match("^[%da-f][%da-f]%-([%da-f]+)%-([%da-f]+)%-[%da-f][%da-f]$")
  if named ~= nil and #named == 32 and #span == 16 then return end
  local id = (headers:get("x-request-id") or ""):gsub("-", ""):lower()
  if #id ~= 32 or id:find("%X") then return end
  headers:replace("traceparent", "00-" .. id .. "-" .. id:sub(17) .. "-00")
end

function envoy_on_request(handle)
  local headers, route = handle:headers(), handle:metadata()
  -- A script that fails lets the call go on; so a failure here is a no.
  local is_done, who, status, code = pcall(identify, handle, headers, route)
  pcall(trace, headers)
  if not is_done then return refuse(handle, "503", "not_identified") end
  if who == nil then return refuse(handle, status, code) end
  local metadata = handle:streamInfo():dynamicMetadata()
  for _, name in ipairs({"subject", "role", "tenant"}) do
    if who[name] ~= NONE then
      metadata:set("gateway", name, who[name])
      headers:replace("x-" .. name, who[name])
    end
  end
  local app = route:get("app")
  if app ~= nil then
    headers:replace("x-app", app)
    headers:replace("x-region", route:get("region"))
  end
  -- What of a decision is carried out behind the question; whoever asks says so, and the service refuses where more is needed.
  local carries = route:get("carries")
  if carries ~= nil then headers:replace("x-governance-carries", carries) end
  if route:get("has_cohorts") then handle:clearRouteCache() end
end
