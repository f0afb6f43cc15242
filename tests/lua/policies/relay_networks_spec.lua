-- relay_networks: everything for some, nothing for others.
local t = require "relay.testing"

local function policy(options)
  options = options or {}
  options.networks = options.networks or { "192.0.2.0/26", "2001:db8:1::/48" }
  return t.policy("relay_networks", options)
end

t.describe("relay_networks", function()
  t.it("accepts any recipient from its networks", function()
    local p = policy()
    t.verdict(p:rcpt { remote_ip = "192.0.2.63", to = "a@example.net" }, "accept", nil, nil, "relay-network")
    t.verdict(p:rcpt { remote_ip = "2001:db8:1::1", to = "a@example.net" }, "accept", nil, nil, "relay-network")
  end)

  t.it("has no opinion about other clients", function()
    local p = policy()
    for _, ip in ipairs { "192.0.2.64", "192.0.1.255", "198.51.100.1", "2001:db8:2::1", "::1" } do
      t.no_opinion(p:rcpt { remote_ip = ip, to = "a@example.net" })
    end
  end)

  t.it("knows an IPv4 client that comes as IPv6", function()
    t.verdict(policy():rcpt { remote_ip = "::ffff:192.0.2.1", to = "a@example.net" }, "accept")
  end)

  t.it("refuses local parts that hold a route, also from its networks", function()
    local p = policy()
    for _, to in ipairs { "a%b.example@example.net", "b.example!a@example.net", '"a@b.example"@example.net' } do
      t.verdict(p:rcpt { to = to }, "reject", 550, "route", "routed-recipient")
    end
    t.no_opinion(p:rcpt { remote_ip = "198.51.100.1", to = "a%b.example@example.net" })
  end)

  t.it("has no opinion about a recipient without a domain", function()
    t.no_opinion(policy():rcpt { to = "<postmaster>" })
  end)

  t.it("gives its clients the profile, the others none", function()
    local p = policy { profile = "copier" }
    t.no_opinion(p:connect { remote_ip = "192.0.2.1" })
    t.equal("copier", p:state().profile)
    p = policy { profile = "copier" }
    t.no_opinion(p:connect { remote_ip = "198.51.100.1" })
    t.equal("", p:state().profile or "")
  end)

  t.it("wants networks", function()
    t.raises("option 'networks' is missing", t.policy, "relay_networks", {})
    t.raises("option 'networks'", policy, { networks = {} })
    t.raises("option 'networks'", policy, { networks = { "example.net" } })
  end)
end)
