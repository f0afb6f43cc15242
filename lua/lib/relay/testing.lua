-- relay/testing.lua - specs of policies: tests/lua/ and `postern policy test`.
--
--   local t = require "relay.testing"
--
--   t.describe("helo_characters", function()
--     t.it("refuses a forbidden character", function()
--       local p = t.policy("helo_characters", { forbidden = "&" })
--       t.verdict(p:helo { name = "a&b" }, "reject", 501, "may not contain")
--       t.no_opinion(p:helo { name = "ab" })
--     end)
--   end)
--
-- A policy under test lives in a real policy state: sandbox, budgets and waiting are what they are in the server. What is faked is
-- around it: the resolver knows what p:dns says and nothing else, limits count in a store of their own, p:advance moves the clock.
-- A policy has one connection, and one transaction from p:mail to the next p:mail; what a question says about them stays said.

local spec = require "relay.spec"

local M = {}

-- For p:dns: the answer is an error of this kind.
M.SERVFAIL = { result = "tempfail" }
M.NXDOMAIN = { result = "nxdomain" }
M.NODATA = { result = "nodata" }

-- ---- running ---------------------------------------------------------------------------------------------------------

local path = {}

function M.describe(name, body)
  path[#path + 1] = name
  body()
  path[#path] = nil
end

local function with_place(message)
  if type(message) == "table" and message.spec_failure then return message.spec_failure end
  return debug.traceback(tostring(message), 2)
end

function M.it(name, body)
  local full = table.concat(path, " ") .. (#path > 0 and " " or "") .. name
  local ok, message = xpcall(body, with_place)
  spec.result(full, ok, not ok and message or nil)
end

-- For files that end with it; there is nothing left to do.
function M.finish() end

-- Raises, with the line of the spec that called the assertion.
local function fail(...)
  local message = string.format(...)
  local level = 2
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info then break end
    if info.source:sub(1, 5) ~= "@lib/" and info.currentline > 0 then
      message = ("%s:%d: %s"):format(info.short_src, info.currentline, message)
      break
    end
    level = level + 1
  end
  error({ spec_failure = message }, 0)
end

M.fail = fail

-- ---- values ----------------------------------------------------------------------------------------------------------

local function show(v)
  if type(v) == "string" then return ("%q"):format(v) end
  if type(v) ~= "table" then return tostring(v) end
  local ok, text = pcall(spec.json.json_encode, v)
  return ok and text or tostring(v)
end

local function same(a, b)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

function M.equal(want, got, what)
  if not same(want, got) then fail("%sexpected %s, got %s", what and what .. ": " or "", show(want), show(got)) end
end

function M.truthy(got, what)
  if not got then fail("%sexpected something true, got %s", what and what .. ": " or "", show(got)) end
end

function M.contains(text, part)
  if type(text) ~= "string" or not text:find(part, 1, true) then fail("expected %s in %s", show(part), show(text)) end
end

-- f raises an error that contains `part`.
function M.raises(part, f, ...)
  local ok, message = pcall(f, ...)
  if ok then fail("expected an error with %s, there was none", show(part)) end
  if type(message) == "table" and message.spec_failure then message = message.spec_failure end
  M.contains(tostring(message), part)
end

-- ---- verdicts --------------------------------------------------------------------------------------------------------

local function describe(v)
  if v.kind == "none" then return "no opinion" end
  return ("%s %s %s rule %s: %s"):format(v.kind, v.code, v.enhanced or "", v.rule or "", v.text or "")
end

-- kind; and, where given, the code, the rule, and a part of the text.
function M.verdict(v, kind, code, text, rule)
  if type(v) ~= "table" then fail("expected a verdict, got %s", show(v)) end
  if v.broken and kind ~= "broken" then fail("the policy failed (%s); p:log() says why", v.rule) end
  if kind == "broken" then
    if not v.broken then fail("expected the policy to fail, got %s", describe(v)) end
  elseif v.kind ~= kind then
    fail("expected %s, got %s", kind, describe(v))
  end
  if code and v.code ~= code then fail("expected code %s, got %s", code, describe(v)) end
  if text and not (v.text or ""):find(text, 1, true) then fail("expected %s in the text of: %s", show(text), describe(v)) end
  if rule and v.rule ~= rule then fail("expected rule %s, got %s", rule, describe(v)) end
end

function M.no_opinion(v)
  M.verdict(v, "none")
end

-- ---- policies --------------------------------------------------------------------------------------------------------

local Policy = {}
Policy.__index = Policy

-- The policy `name` with these options. `more`: text = its source, if it is in no file; mode = "observe".
-- Raises, with all problems, if it cannot be set up.
function M.policy(name, options, more)
  more = more or {}
  local p = setmetatable({ asked = false, kept = {} }, Policy)
  p.use = { name = name, options = options or {}, text = more.text, mode = more.mode, hosts = {} }
  p:open()
  return p
end

function Policy:open()
  local handle, problems = spec.policy(self.use)
  if not handle then fail("%s", table.concat(problems, "\n")) end
  self.handle = handle
end

local function is_address(text)
  return text:match("^%d+%.%d+%.%d+%.%d+$") or text:find(":", 1, true)
end

local function add_host(hosts, name, kind, value)
  if type(value) == "table" and not value.result then
    for _, one in ipairs(value) do add_host(hosts, name, kind, one) end
  else
    hosts[#hosts + 1] = { name = name, type = kind,
      value = type(value) == "string" and value or nil, result = type(value) == "table" and value.result or nil }
  end
end

-- What the resolver knows: { ["mx.example"] = "192.0.2.1", ["192.0.2.7"] = "its.name.example", ["x.example"] = t.SERVFAIL,
-- ["example.org"] = { mx = { "10 mx.example" }, txt = "v=spf1 -all", a = t.NODATA } }. Comes before the first question.
function Policy:dns(answers)
  if self.asked then fail("p:dns comes before the first question") end
  for name, answer in pairs(answers) do
    if is_address(name) then
      add_host(self.use.hosts, name, "PTR", answer)
    elseif type(answer) == "string" then
      add_host(self.use.hosts, name, answer:find(":", 1, true) and "AAAA" or "A", answer)
    elseif answer.result then
      for _, kind in ipairs { "A", "AAAA", "MX", "TXT" } do add_host(self.use.hosts, name, kind, answer) end
    else
      for kind, value in pairs(answer) do
        if type(kind) == "number" then
          add_host(self.use.hosts, name, value:find(":", 1, true) and "AAAA" or "A", value)
        else
          add_host(self.use.hosts, name, kind:upper(), value)
        end
      end
    end
  end
  self:open()
  return self
end

local function ask(self, hook, subject)
  self.asked = true
  return self.handle:ask(hook, subject or {})
end

function Policy:connect(subject) return ask(self, "connect", subject) end
function Policy:starttls(subject) return ask(self, "starttls", subject) end
function Policy:data(subject) return ask(self, "data", subject) end
function Policy:rcpt(subject) return ask(self, "rcpt", subject) end
function Policy:route(subject) return ask(self, "route", subject) end

local function with(subject, key, value)
  local copy = {}
  for k, v in pairs(subject or {}) do copy[k] = v end
  if copy[key] == nil then copy[key] = value end
  return copy
end

-- name =
function Policy:helo(subject)
  subject = subject or {}
  return ask(self, "helo", with(subject, "helo", subject.name))
end

-- user =, mechanism =, realm =
function Policy:auth(subject)
  subject = with(subject, "auth_user", (subject or {}).user)
  subject = with(subject, "auth_mech", subject.mechanism or "PLAIN")
  return ask(self, "auth", with(subject, "auth_realm", subject.realm))
end

-- from =; a new transaction begins
function Policy:mail(subject)
  self.handle:forget("txn")
  return ask(self, "mail", subject)
end

-- header = { "Name: value", ... } and body =, or text = the whole message. Without either it is that of before, as it was edited.
-- dkim = { { domain =, result = ... }, ... } and arc = what a listener with dkim_verify would have found in it.
function Policy:message(subject)
  subject = subject or {}
  local text = subject.text
  if subject.header then
    text = table.concat(subject.header, "\r\n") .. "\r\n\r\n" .. (subject.body or "")
  end
  return ask(self, "message", with(subject, "text", text))
end

-- An event: p:observe("refused", { code = 550, rule = "x" }).
function Policy:observe(name, event)
  self.asked = true
  self.handle:observe(name, event or {})
end

-- The clock goes on: seconds.
function Policy:advance(seconds)
  self.handle:advance(seconds)
end

-- Another connection; p:dns and limits stay.
function Policy:reconnect()
  self.handle:forget("conn")
end

-- What the policies did: profile, device, sender (the new one), meta (decoded), head (the header section as it is now).
function Policy:state()
  local state = self.handle:state()
  if state.meta then state.meta = spec.json.json_decode(state.meta) end
  return state
end

-- The value of a header field of the message as it is now; nil if there is none.
function Policy:header(name)
  local head = self.handle:state().head or ""
  local wanted = name:lower()
  for field, value in ("\r\n" .. head):gsub("\r\n[ \t]+", " "):gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    if field:lower() == wanted then return value end
  end
end

-- All that was logged since the policy was made, as tables.
function Policy:log()
  for line in self.handle:log():gmatch("[^\n]+") do
    self.kept[#self.kept + 1] = assert(spec.json.json_decode(line))
  end
  return self.kept
end

-- Was `text` logged by the policy (its event, or its text), with these fields?
function M.logged(p, text, fields)
  local said = {}
  for _, record in ipairs(p:log()) do
    if record.event ~= "policy_loaded" then said[#said + 1] = show(record) end
    if record.text == text or record.event == text then
      local all = true
      for key, value in pairs(fields or {}) do
        if not same(record[key], value) and not same((record.options or {})[key], value) then all = false end
      end
      if all then return record end
    end
  end
  fail("expected %s in the log, which has:\n%s", show(text), table.concat(said, "\n"))
end

return M
