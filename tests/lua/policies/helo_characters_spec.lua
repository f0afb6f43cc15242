-- helo_characters: which names are refused, with what, and when.
local t = require "relay.testing"

t.describe("helo_characters", function()
  t.it("refuses a name with an ampersand at once, and names the character", function()
    local v = t.policy("helo_characters"):helo { name = "a&b" }
    t.verdict(v, "reject", 501, 'may not contain "&"', "helo-characters")
    t.equal("5.5.2", v.enhanced)
    t.equal(true, v.now)
  end)

  t.it("refuses HELO as it does EHLO", function()
    t.verdict(t.policy("helo_characters"):helo { name = "&", esmtp = false }, "reject", 501)
  end)

  t.it("has nothing against other names", function()
    local p = t.policy("helo_characters")
    for _, name in ipairs { "mfp1.example.edu", "a_b", "[192.0.2.1]", "[IPv6:2001:db8::1]", "x", "a%b", "" } do
      t.no_opinion(p:helo { name = name })
    end
  end)

  t.it("forbids what the option says and nothing else; a character is no pattern", function()
    local p = t.policy("helo_characters", { forbidden = "_%." })
    t.verdict(p:helo { name = "a_b" }, "reject", 501, '"_"')
    t.verdict(p:helo { name = "a%b" }, "reject", 501, '"%"')
    t.verdict(p:helo { name = "a.b" }, "reject", 501, '"."')
    t.no_opinion(p:helo { name = "a&b" })
  end)

  t.it("can wait for the recipients, so that the log has them", function()
    local v = t.policy("helo_characters", { answer_at = "rcpt" }):helo { name = "a&b" }
    t.verdict(v, "reject", 501)
    t.equal(false, v.now)
  end)

  t.it("wants a character, and a stage that exists", function()
    t.raises("option 'forbidden'", t.policy, "helo_characters", { forbidden = "" })
    t.raises("must be one of: helo, rcpt", t.policy, "helo_characters", { answer_at = "mail" })
    t.raises("unknown option 'forbid'", t.policy, "helo_characters", { forbid = "&" })
  end)
end)
