-- rate_limits: what is counted, when it is free again, and what the client is told.
local t = require "relay.testing"

-- A message: the verdict of its last recipient.
local function message(p, from, recipients, more)
  p:mail { from = from or "a@example.edu" }
  local v
  for i = 1, recipients or 1 do
    local subject = { to = ("r%d@example.net"):format(i) }
    for key, value in pairs(more or {}) do subject[key] = value end
    v = p:rcpt(subject)
  end
  return v
end

local function over(v, seconds, who)
  t.verdict(v, "defer", 450, who, "rate-limit")
  t.equal("4.7.1", v.enhanced)
  t.contains(v.text, ("free in %d s"):format(seconds))
end

t.describe("rate_limits", function()
  t.it("allows a burst, then one for each interval", function()
    local p = t.policy("rate_limits", { per_device = "60/hour,burst=3" })
    for _ = 1, 3 do t.no_opinion(message(p)) end
    over(message(p), 60, "192.0.2.1")
    p:advance(59)
    over(message(p), 1)
    p:advance(1)
    t.no_opinion(message(p))
    over(message(p), 60)
    p:advance(180)
    for _ = 1, 3 do t.no_opinion(message(p)) end
    over(message(p), 60)
  end)

  t.it("does not let refused attempts push the limit further away", function()
    local p = t.policy("rate_limits", { per_device = "60/hour,burst=1" })
    t.no_opinion(message(p))
    for _ = 1, 20 do over(message(p), 60) end
    p:advance(60)
    t.no_opinion(message(p))
  end)

  t.it("has a limit of its own for each client", function()
    local p = t.policy("rate_limits", { per_device = "60/hour,burst=1" })
    t.no_opinion(message(p, nil, 1, { remote_ip = "192.0.2.1" }))
    t.no_opinion(message(p, nil, 1, { remote_ip = "192.0.2.2" }))
    over(message(p, nil, 1, { remote_ip = "192.0.2.1" }), 60, "192.0.2.1")
  end)

  t.it("counts a device wherever it comes from", function()
    local p = t.policy("rate_limits", { per_device = "60/hour,burst=1" })
    t.no_opinion(message(p, nil, 1, { device = "mfp-7", remote_ip = "192.0.2.1" }))
    over(message(p, nil, 1, { device = "mfp-7", remote_ip = "192.0.2.2" }), 60, "mfp-7")
  end)

  t.it("counts a message once, however many recipients it has", function()
    local p = t.policy("rate_limits", { per_device = "60/hour,burst=2" })
    t.no_opinion(message(p, nil, 50))
    t.no_opinion(message(p, nil, 50))
    over(message(p, nil, 50), 60)
  end)

  t.it("goes on counting on another connection", function()
    local p = t.policy("rate_limits", { per_device = "60/hour,burst=1" })
    t.no_opinion(message(p))
    p:reconnect()
    over(message(p), 60)
  end)

  t.it("limits senders, in any case; the null sender has no limit", function()
    local p = t.policy("rate_limits", { per_device = "600/hour,burst=600", per_sender = "6/hour,burst=1" })
    t.no_opinion(message(p, "cron@example.edu"))
    over(message(p, "CRON@Example.EDU"), 600)
    t.no_opinion(message(p, "b@example.edu"))
    for _ = 1, 3 do t.no_opinion(message(p, "")) end
  end)

  t.it("takes nothing from the device for what the sender's limit refuses", function()
    local p = t.policy("rate_limits", { per_device = "60/hour,burst=2", per_sender = "6/hour,burst=1" })
    t.no_opinion(message(p, "cron@example.edu"))
    over(message(p, "cron@example.edu", 10), 600, "cron@example.edu")
    t.no_opinion(message(p, "b@example.edu"))
    over(message(p, "c@example.edu"), 60, "192.0.2.1")
  end)

  t.it("counts recipients where that is asked for", function()
    local p = t.policy("rate_limits",
      { recipients_per_device = "60/hour,burst=5", advice = "for mail to many use lists.example.edu" })
    t.no_opinion(message(p, nil, 5))
    local v = message(p)
    over(v, 60, "recipients are over")
    t.contains(v.text, "lists.example.edu")
  end)

  t.it("stops a burst of five hundred recipients", function()
    local p = t.policy("rate_limits", { recipients_per_device = "100/hour,burst=100" })
    p:mail { from = "a@example.edu" }
    local accepted = 0
    for i = 1, 500 do
      if p:rcpt { to = ("r%d@example.net"):format(i) }.kind == "none" then accepted = accepted + 1 end
    end
    t.equal(100, accepted)
  end)

  t.it("does not count exempt networks", function()
    local p = t.policy("rate_limits", { per_device = "60/hour,burst=1", exempt = { "192.0.2.0/24" } })
    for _ = 1, 5 do t.no_opinion(message(p)) end
    t.no_opinion(message(p, nil, 1, { remote_ip = "198.51.100.1" }))
    over(message(p, nil, 1, { remote_ip = "198.51.100.1" }), 60)
  end)

  t.it("wants rates that are some", function()
    t.raises("option 'per_device'", t.policy, "rate_limits", { per_device = "many" })
    t.raises("option 'per_sender'", t.policy, "rate_limits", { per_sender = "0/hour" })
  end)
end)
