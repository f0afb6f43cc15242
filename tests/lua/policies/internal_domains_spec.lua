-- internal_domains: names match exactly, and no local part leads out of them.
local t = require "relay.testing"

local function policy(options)
  options = options or {}
  options.domains = options.domains or { "example.edu", "upenn.edu", "jacket2.org", ".lab.example.edu" }
  return t.policy("internal_domains", options)
end

local function accepts(p, to)
  t.verdict(p:rcpt { to = to }, "accept", nil, nil, "internal-domain")
end

t.describe("internal_domains", function()
  t.it("accepts a recipient of a listed domain, in any case", function()
    local p = policy()
    accepts(p, "a@example.edu")
    accepts(p, "a@JACKET2.ORG")
    accepts(policy { domains = { "Jacket2.Org" } }, "a@jacket2.org")
  end)

  t.it("has no opinion about names that only look like it", function()
    local p = policy()
    for _, domain in ipairs { "evil-upenn.edu", "x.upenn.edu", "upenn.edu.example", "penn.edu", "edu", "upenn-edu.org" } do
      t.no_opinion(p:rcpt { to = "a@" .. domain })
    end
  end)

  t.it("takes a name with a dot in front for all below it, and not for itself", function()
    local p = policy()
    accepts(p, "a@x.lab.example.edu")
    accepts(p, "a@x.y.LAB.example.edu")
    t.no_opinion(p:rcpt { to = "a@lab.example.edu" })
    t.no_opinion(p:rcpt { to = "a@evil-lab.example.edu" })
  end)

  t.it("refuses a local part that could be taken for a route", function()
    local p = policy()
    for _, to in ipairs { "a%example.net@example.edu", "example.net!a@example.edu", '"a@example.net"@example.edu',
      '"a%example.net"@example.edu', '"example.net!a"@upenn.edu' } do
      t.verdict(p:rcpt { to = to }, "reject", 550, "route", "routed-recipient")
    end
    t.no_opinion(p:rcpt { to = "a%example.edu@example.net" })
    accepts(p, '"a b"@example.edu')
  end)

  t.it("looks at where a source route ends, not where it begins", function()
    local p = policy()
    t.no_opinion(p:rcpt { to = "<@example.edu:a@example.net>" })
    t.no_opinion(p:rcpt { to = "<@example.edu,@upenn.edu:a@example.net>" })
    accepts(p, "<@example.net:a@example.edu>")
    t.verdict(p:rcpt { to = "<@example.net:a%example.net@example.edu>" }, "reject", 550)
  end)

  t.it("has no opinion about a recipient without a domain, or an address literal", function()
    local p = policy()
    t.no_opinion(p:rcpt { to = "<postmaster>" })
    t.no_opinion(p:rcpt { to = "a@[192.0.2.25]" })
    t.no_opinion(p:rcpt { to = "a@[IPv6:2001:db8::25]" })
  end)

  t.it("is for the named networks, and has no opinion about the others", function()
    local p = policy { from = { "192.0.2.0/24", "2001:db8:1::/48" } }
    t.verdict(p:rcpt { remote_ip = "192.0.2.200", to = "a@example.edu" }, "accept")
    t.verdict(p:rcpt { remote_ip = "2001:db8:1::9", to = "a@example.edu" }, "accept")
    t.no_opinion(p:rcpt { remote_ip = "192.0.3.1", to = "a@example.edu" })
    t.no_opinion(p:rcpt { remote_ip = "2001:db8:2::9", to = "a@example.edu" })
    t.no_opinion(p:rcpt { remote_ip = "192.0.3.1", to = "a%b@example.edu" })
  end)

  t.it("takes more than ten thousand names, as a list or as the text of a file", function()
    local names, lines = {}, { "# our domains", "" }
    for i = 1, 12000 do
      names[i] = ("d%d.example.org"):format(i)
      lines[#lines + 1] = names[i] .. "   # number " .. i
    end
    for _, domains in ipairs { names, table.concat(lines, "\n") } do
      local p = policy { domains = domains }
      accepts(p, "a@d1.example.org")
      accepts(p, "a@D12000.example.org")
      t.no_opinion(p:rcpt { to = "a@d12001.example.org" })
      t.no_opinion(p:rcpt { to = "a@example.org" })
    end
  end)

  t.it("wants domains, and networks that are some", function()
    t.raises("option 'domains' is missing", t.policy, "internal_domains", {})
    t.raises("option 'domains'", policy, { domains = {} })
    t.raises("option 'from'", policy, { from = { "192.0.2.0/33" } })
  end)
end)
