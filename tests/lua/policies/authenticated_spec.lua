-- authenticated: everything for those who logged in, no word about the others.
local t = require "relay.testing"

t.describe("authenticated", function()
  t.it("accepts any recipient from who is logged in", function()
    t.verdict(t.policy("authenticated", {}):rcpt { auth_user = "copier7", to = "a@example.net" }, "accept", nil, nil,
      "authenticated")
    t.no_opinion(t.policy("authenticated", {}):rcpt { to = "a@example.net" })
  end)

  t.it("accepts only the users that are named", function()
    local p = t.policy("authenticated", { users = { "copier7", "smtp-relay/scan.example.edu@EXAMPLE.EDU" } })
    t.verdict(p:rcpt { auth_user = "copier7", to = "a@example.net" }, "accept")
    t.verdict(p:rcpt { auth_user = "smtp-relay/scan.example.edu@EXAMPLE.EDU", to = "a@example.net" }, "accept")
    t.no_opinion(p:rcpt { auth_user = "copier8", to = "a@example.net" })
    t.no_opinion(p:rcpt { auth_user = "COPIER7", to = "a@example.net" })
  end)

  t.it("refuses a login that comes from elsewhere as if it were wrong", function()
    local p = t.policy("authenticated", { networks = { "192.0.2.0/24" } })
    t.no_opinion(p:auth { remote_ip = "192.0.2.7", user = "copier7" })
    t.verdict(p:auth { remote_ip = "198.51.100.7", user = "copier7" }, "reject", 535, "invalid", "login-from-elsewhere")
  end)

  t.it("refuses local parts that hold a route, also after a login", function()
    local p = t.policy("authenticated", {})
    t.verdict(p:rcpt { auth_user = "copier7", to = "a%b.example@example.net" }, "reject", 550, "route", "routed-recipient")
    t.no_opinion(t.policy("authenticated", {}):rcpt { to = "a%b.example@example.net" })
  end)

  t.it("has no opinion about a recipient without a domain", function()
    t.no_opinion(t.policy("authenticated", {}):rcpt { auth_user = "copier7", to = "<postmaster>" })
  end)

  t.it("wants networks that are networks", function()
    t.raises("option 'networks'", t.policy, "authenticated", { networks = { "example.net" } })
  end)
end)
