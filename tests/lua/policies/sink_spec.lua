-- sink: throws away what comes from its networks, and nothing else.
local t = require "relay.testing"

t.describe("sink", function()
  t.it("accepts every recipient of its networks, and discards the message", function()
    local p = t.policy("sink", { networks = { "192.0.2.0/24" } })
    p:mail { from = "a@example.edu" }
    t.verdict(p:rcpt { to = "b@example.net" }, "accept", nil, nil, "sink")
    t.verdict(p:message { header = { "Subject: x" } }, "discard", nil, "thrown away", "sink")
  end)

  t.it("leaves the mail of others alone", function()
    local p = t.policy("sink", { networks = { "192.0.2.0/24" } })
    p:mail { from = "a@example.edu" }
    t.no_opinion(p:rcpt { remote_ip = "198.51.100.1", to = "b@example.net" })
    t.no_opinion(p:message { header = { "Subject: x" } })
  end)

  t.it("wants to be told whose", function()
    t.raises("option 'networks' is missing", t.policy, "sink", {})
    t.raises("option 'networks'", t.policy, "sink", { networks = {} })
  end)
end)
