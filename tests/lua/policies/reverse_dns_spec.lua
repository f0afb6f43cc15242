-- reverse_dns: address, name and address again must agree; no answer is no disagreement.
local t = require "relay.testing"

local function policy(zone, options)
  return t.policy("reverse_dns", options):dns(zone)
end

local function rcpt(p, more)
  local subject = { remote_ip = "192.0.2.1", to = "a@example.net" }
  for key, value in pairs(more or {}) do subject[key] = value end
  return p:rcpt(subject)
end

t.describe("reverse_dns", function()
  t.it("lets a client pass whose name leads back to it", function()
    t.no_opinion(rcpt(policy { ["192.0.2.1"] = "mfp.example.edu", ["mfp.example.edu"] = "192.0.2.1" }))
  end)

  t.it("does so for IPv6", function()
    local zone = { ["2001:db8::1"] = "mfp.example.edu", ["mfp.example.edu"] = "2001:db8::1" }
    t.no_opinion(rcpt(policy(zone), { remote_ip = "2001:db8::1" }))
    zone["mfp.example.edu"] = "2001:db8::2"
    t.verdict(rcpt(policy(zone), { remote_ip = "2001:db8::1" }), "reject", 550, "2001:db8::1", "reverse-dns")
  end)

  t.it("refuses a client without a name, and says so", function()
    local v = rcpt(policy {})
    t.verdict(v, "reject", 550, "192.0.2.1 has no name in the DNS", "reverse-dns")
    t.equal("5.7.25", v.enhanced)
  end)

  t.it("refuses a client whose name has another address, and says which name", function()
    local p = policy { ["192.0.2.1"] = "mfp.example.edu", ["mfp.example.edu"] = "192.0.2.9" }
    t.verdict(rcpt(p), "reject", 550, "its name mfp.example.edu has no matching address", "reverse-dns")
  end)

  t.it("refuses a client whose name does not exist", function()
    local p = policy { ["192.0.2.1"] = "gone.example.edu" }
    t.verdict(rcpt(p), "reject", 550, "gone.example.edu", "reverse-dns")
  end)

  t.it("asks a client to come again when the resolver fails, for either question", function()
    for _, zone in ipairs {
      { ["192.0.2.1"] = t.SERVFAIL },
      { ["192.0.2.1"] = "mfp.example.edu", ["mfp.example.edu"] = t.SERVFAIL },
    } do
      local v = rcpt(policy(zone))
      t.verdict(v, "defer", 451, "try again later", "reverse-dns-unknown")
      t.equal("4.7.25", v.enhanced)
    end
  end)

  t.it("is content with one of several names", function()
    local zone = { ["192.0.2.1"] = { "old.example.edu", "mfp.example.edu" }, ["old.example.edu"] = "192.0.2.9",
      ["mfp.example.edu"] = { "192.0.2.8", "192.0.2.1" } }
    t.no_opinion(rcpt(policy(zone)))
    zone["mfp.example.edu"] = "192.0.2.8"
    t.verdict(rcpt(policy(zone)), "reject", 550)
  end)

  t.it("does not take a failure for a mismatch when another name could still match", function()
    local p = policy { ["192.0.2.1"] = { "old.example.edu", "mfp.example.edu" }, ["old.example.edu"] = "192.0.2.9",
      ["mfp.example.edu"] = t.SERVFAIL }
    t.verdict(rcpt(p), "defer", 451)
  end)

  t.it("leaves exempt networks alone", function()
    local p = policy({}, { exempt = { "192.0.2.0/28", "2001:db8::/32" } })
    t.no_opinion(rcpt(p))
    t.no_opinion(rcpt(p, { remote_ip = "2001:db8::1" }))
    t.verdict(rcpt(p, { remote_ip = "192.0.2.16" }), "reject", 550)
  end)

  t.it("wants the confirmed name in a domain, if there is a list of them", function()
    local zone = { ["192.0.2.1"] = "mfp.lab.example.edu", ["mfp.lab.example.edu"] = "192.0.2.1" }
    t.no_opinion(rcpt(policy(zone, { domains = { ".example.edu" } })))
    t.no_opinion(rcpt(policy(zone, { domains = { "MFP.lab.example.edu" } })))
    t.verdict(rcpt(policy(zone, { domains = { "example.edu", ".evil-example.edu" } })), "reject", 550,
      "192.0.2.1 is mfp.lab.example.edu", "reverse-dns-domain")
  end)

  t.it("does not count names that are not confirmed for the domains", function()
    local zone = { ["192.0.2.1"] = { "www.example.edu", "host.example.net" }, ["www.example.edu"] = "192.0.2.80",
      ["host.example.net"] = "192.0.2.1" }
    t.verdict(rcpt(policy(zone, { domains = { ".example.edu" } })), "reject", 550, nil, "reverse-dns-domain")
    t.no_opinion(rcpt(policy(zone, { domains = { ".example.net" } })))
  end)

  t.it("asks itself where the listener does not look names up", function()
    t.verdict(rcpt(policy {}, { reverse = "off" }), "reject", 550, nil, "reverse-dns")
    t.no_opinion(rcpt(policy { ["192.0.2.1"] = "mfp.example.edu", ["mfp.example.edu"] = "192.0.2.1" }, { reverse = "off" }))
    t.verdict(rcpt(policy { ["192.0.2.1"] = t.SERVFAIL }, { reverse = "off" }), "defer", 451)
  end)
end)
