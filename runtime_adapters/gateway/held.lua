-- Answers of apps that declare them: each is held until the decision service says that it may leave. The words in capitals are
-- filled in by `filters.py`. Where the service says no, or nothing, 502 leaves instead, with none of the app's headers.
local KEY, AUTHORITY, PATIENCE_MS = @KEY@, @AUTHORITY@, @PATIENCE_MS@
local FROM_APP = "x-envoy-upstream-service-time"
-- Set by the route, whatever the app said.
local HARDENED = {
  ["x-content-type-options"] = true, ["x-frame-options"] = true, ["referrer-policy"] = true,
  ["cross-origin-resource-policy"] = true, ["strict-transport-security"] = true,
}
local SAID = {
  ["x-app"] = "x-app", ["x-region"] = "x-region", ["x-subject"] = "x-subject", ["x-role"] = "x-role", ["x-tenant"] = "x-tenant",
  ["x-asked-method"] = ":method", ["x-asked-path"] = ":path", ["traceparent"] = "traceparent",
}

function envoy_on_request(handle)
  local headers, kept = handle:headers(), handle:streamInfo():dynamicMetadata()
  -- A part of an answer, or none because the caller has it already, is nothing that could be looked at.
  for _, name in ipairs({"accept-encoding", "range", "if-range", "if-none-match", "if-modified-since"}) do headers:remove(name) end
  for name, header in pairs(SAID) do kept:set("held", name, headers:get(header) or "") end
end

local function value_of(headers, name)
  local values = headers:getNumValues(name)
  if values > 1 then return "several" end
  return values == 1 and headers:get(name) or ""
end

-- Whether it may leave, by which decision, and what the service said.
local function decided(handle)
  local body = handle:body(true)
  local asked, headers = handle:streamInfo():dynamicMetadata():get("held"), handle:headers()
  local question = {
    [":method"] = "POST", [":path"] = "/app-answers", [":authority"] = AUTHORITY, ["x-api-key"] = KEY,
    ["x-answer-status"] = headers:get(":status"), ["x-answer-type"] = value_of(headers, "content-type"),
    ["x-answer-encoding"] = value_of(headers, "content-encoding"), ["content-type"] = "application/octet-stream",
  }
  for name in pairs(SAID) do question[name] = asked[name] end
  for name, value in pairs(question) do
    if value == "" then question[name] = nil end
  end
  local answer, said = handle:httpCall("decision-service", question, body:getBytes(0, body:length()), PATIENCE_MS)
  return answer[":status"] == "200", answer["x-decision-id"], said
end

function envoy_on_response(handle)
  -- What the gateway says itself, because the app cannot be reached or takes too long, is no answer of the app.
  if handle:headers():get(FROM_APP) == nil then return end
  -- `answers.lua` tells it by the same header, where it comes after this.
  if handle:metadata():get("last") then handle:headers():remove(FROM_APP) end
  -- A script that fails lets the answer through as it is; so a failure here is a no.
  local is_done, may_leave, decision, said = pcall(decided, handle)
  if is_done and may_leave then return end
  local headers, names = handle:headers(), {}
  for name in pairs(headers) do
    if name:sub(1, 1) ~= ":" and not HARDENED[name] then names[#names + 1] = name end
  end
  for _, name in ipairs(names) do headers:remove(name) end
  if not is_done or decision == nil or said == nil then
    said = '{"type":"about:blank","status":502,"code":"answer_not_decided"}'
  end
  headers:replace(":status", "502")
  headers:replace("content-type", "application/json")
  headers:replace("content-length", tostring(handle:body(true):setBytes(said)))
  if is_done and decision ~= nil then headers:replace("x-decision-id", decision) end
end
