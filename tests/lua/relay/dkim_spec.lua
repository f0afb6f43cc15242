-- msg.dkim and msg.arc: what policies learn of signatures.
local t = require "relay.testing"

local function policy(body)
  return t.policy("p", {}, { text = ([[
    local relay = require "relay"
    return relay.policy { name = "p", api = 1, setup = function()
      return { message = function(txn, msg)
        local function say(...)
          local out = {}
          for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
          return relay.reject { rule = "x", text = table.concat(out, " ") }
        end
        %s
      end }
    end }]]):format(body) })
end

t.it("is nil where nobody looked", function()
  local p = policy "return say(msg.dkim, msg.arc)"
  t.equal("nil nil", p:message { header = { "From: a@b.example" } }.text)
end)

t.it("has one entry for each signature, and the chain", function()
  local p = policy [[
    local s = msg.dkim[1]
    return say(#msg.dkim, s.domain, s.selector, s.identity, s.result, s.reason, s.algorithm, s.testing, s.partial,
      msg.dkim[2].result, msg.dkim[2].domain, msg.arc)]]
  local v = p:message { header = { "From: a@b.example" }, arc = "pass", dkim = {
    { domain = "b.example", selector = "k1", identity = "@x.b.example", result = "fail", reason = "changed",
      algorithm = "ed25519-sha256", testing = true },
    { result = "pass", domain = "c.example", partial = true },
  } }
  t.equal("2 b.example k1 @x.b.example fail changed ed25519-sha256 true false pass c.example pass", v.text)
end)

t.it("can be an empty list: not signed", function()
  t.equal("0 none", policy "return say(#msg.dkim, msg.arc)":message { header = { "From: a@b.example" }, dkim = {} }.text)
end)

t.it("takes no result that there is not", function()
  local p = policy "return nil"
  t.raises("'good' is no result of DKIM", p.message, p, { header = { "A: b" }, dkim = { { result = "good" } } })
end)
