-- What arrives: values of the kinds that the decision names (obligation `redact`) are cut out of query and body before the app
-- reads them, and a request that cannot be looked into does not arrive. Stands behind `answers.lua`, whose masks it uses.
local function encoded(text)
  return (text:gsub("[^%w%-%._~]", function(char) return ("%%%02X"):format(char:byte()) end))
end

-- Each piece between `marks`, decoded; a plus is a blank for some readers and itself for others.
local function masked_pieces(text, marks, kinds)
  return (text:gsub("[^" .. marks .. "]+", function(piece)
    for _, blank in ipairs({" ", "+"}) do
      local found = decoded((piece:gsub("%+", blank)))
      local clean = masked(found, kinds)
      if clean ~= found then piece = encoded(clean) end
    end
    return piece
  end))
end

local function masked_body(handle, headers, text, kinds)
  local encoding = headers:get("content-encoding")
  if (encoding ~= nil and encoding:lower() ~= "identity") or headers:getNumValues("content-type") ~= 1 then return nil end
  if is_wide(text) then return nil end
  local content_type = headers:get("content-type")
  -- The whole of the type: `application/xml +json` is JSON to one reader and XML to another.
  local kind = content_type:lower():match("^%s*([^;]*)")
  kind = kind:match("^.*%S") or ""
  if kind:find("[%s,]") then return nil end
  if kind == "application/x-www-form-urlencoded" then return masked_pieces(text, "&=;", kinds) end
  local sort = sort_of(content_type)
  if sort == "json" then return masked_json(text, kinds) end
  if sort ~= "text" then return nil end
  -- A reference, a comment or a section writes a value as no mask knows it.
  if kind:find("xml$") and (text:find("&", 1, true) or text:find("<!", 1, true)) then return nil end
  return masked_text(text, kinds)
end

-- Nil where all was cut out, or a status and a code.
local function cut(handle, wanted)
  local kinds = {}
  for kind in wanted:gmatch("[^,]+") do
    if not MASKS[kind] then return "503", "redaction_not_known" end
    kinds[kind] = true
  end
  local path, query = handle:headers():get(":path"):match("^([^?]*)(.*)$")
  -- Another path would be another call.
  if masked_pieces(path, "/;", kinds) ~= path then return "400", "value_in_path" end
  local clean = masked_pieces(query, "?&=;", kinds)
  if clean ~= query then handle:headers():replace(":path", path .. clean) end
  local body = handle:body()
  if body == nil or body:length() == 0 then return nil end
  local headers, text = handle:headers(), body:getBytes(0, body:length())
  clean = masked_body(handle, headers, text, kinds)
  if clean == nil then return "415", "request_not_readable" end
  if clean ~= text then
    headers:replace("content-length", tostring(body:setBytes(clean)))
    for _, name in ipairs({"digest", "content-digest", "content-md5"}) do headers:remove(name) end
  end
end

function envoy_on_request(handle)
  handle:headers():remove("x-governance-carries")
  local said = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.ext_authz")
  local wanted = said and said["x-governance-redact"]
  if wanted == nil then return end
  -- A script that fails lets the call go on; so a failure here is a no.
  local is_done, status, code = pcall(cut, handle, wanted)
  if not is_done then status, code = "503", "not_redacted" end
  if status == nil then return end
  local body = '{"type":"about:blank","status":' .. status .. ',"code":"' .. code .. '"}'
  handle:respond({[":status"] = status, ["content-type"] = "application/problem+json"}, body)
end

envoy_on_response = nil
