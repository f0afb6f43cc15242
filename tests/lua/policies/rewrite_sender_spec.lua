-- rewrite_sender: system accounts get an address that answers; nothing else changes.
local t = require "relay.testing"

local TEMPLATE = "sampleaccount+{local}-{domain}@tld.upenn.edu"

local function policy(options)
  options = options or {}
  options.domains = options.domains or { "systemname.tld.upenn.edu" }
  options.template = options.template or TEMPLATE
  return t.policy("rewrite_sender", options)
end

local function after(p, from, header)
  p:mail { from = from }
  t.no_opinion(p:message { header = header, body = "text\r\n" })
  return p
end

local ROOT = "root@systemname.tld.upenn.edu"
local REWRITTEN = "sampleaccount+root-systemname.tld.upenn.edu@tld.upenn.edu"

t.describe("rewrite_sender", function()
  t.it("rewrites envelope, From and Sender, and leaves Reply-To", function()
    local p = after(policy(), ROOT, { "From: " .. ROOT, "Sender: " .. ROOT, "Reply-To: " .. ROOT, "To: " .. ROOT })
    t.equal(REWRITTEN, p:state().sender)
    t.equal(REWRITTEN, p:header "From")
    t.equal(REWRITTEN, p:header "Sender")
    t.equal(ROOT, p:header "Reply-To")
    t.equal(ROOT, p:header "To")
    t.equal(ROOT, p:header "X-Original-From")
    t.equal(43, #REWRITTEN:match("^[^@]+"))
  end)

  t.it("does so in any case, and for the named domains only", function()
    t.equal(REWRITTEN, after(policy(), "root@SystemName.TLD.upenn.edu", { "Subject: x" }):state().sender)
    for _, other in ipairs { "a@tld.upenn.edu", "a@x.systemname.tld.upenn.edu", "a@evil-systemname.tld.upenn.edu" } do
      local p = after(policy(), other, { "From: " .. other })
      t.equal("", p:state().sender or "")
      t.equal(other, p:header "From")
      t.equal(nil, p:header "X-Original-From")
    end
  end)

  t.it("takes a dot in front, or *., for all below, in envelope and header", function()
    for _, domain in ipairs { ".tld.upenn.edu", "*.tld.upenn.edu", ".TLD.upenn.edu." } do
      local p = after(policy { domains = { domain } }, ROOT, { "From: " .. ROOT })
      t.equal(REWRITTEN, p:state().sender, domain)
      t.equal(REWRITTEN, p:header "From", domain)
    end
  end)

  t.it("keeps display names and comments", function()
    for given, wanted in pairs {
      ['"Cron, Root" <root@systemname.tld.upenn.edu>'] = '"Cron, Root" <%s>',
      ['"a@b \\"x\\"" <root@systemname.tld.upenn.edu> (nightly, on web1)'] = '"a@b \\"x\\"" <%s> (nightly, on web1)',
      ['root@systemname.tld.upenn.edu (Cron Daemon)'] = '%s (Cron Daemon)',
      ['=?UTF-8?Q?J=C3=BCrgen?= <root@systemname.tld.upenn.edu>'] = '=?UTF-8?Q?J=C3=BCrgen?= <%s>',
      ['Cron Daemon\r\n <root@systemname.tld.upenn.edu>'] = 'Cron Daemon <%s>',
    } do
      t.equal(wanted:format(REWRITTEN), after(policy(), ROOT, { "From: " .. given }):header "From", given)
    end
  end)

  t.it("rewrites all authors, of all domains, and keeps the original once", function()
    local from = '"A" <a@one.example.edu>, b@other.example, c@two.example.edu'
    local p = after(policy { domains = { "one.example.edu", "two.example.edu" }, template = "s+{local}-{domain}@example.edu" },
      "a@one.example.edu", { "From: " .. from })
    t.equal('"A" <s+a-one.example.edu@example.edu>, b@other.example, s+c-two.example.edu@example.edu', p:header "From")
    t.equal(from, p:header "X-Original-From")
    local _, originals = p:state().head:gsub("X%-Original%-From:", "")
    t.equal(1, originals)
  end)

  t.it("changes nothing that was changed before", function()
    local p = policy { domains = { ".upenn.edu", "tld.upenn.edu" } }
    after(p, ROOT, { 'From: "Cron, Root" <' .. ROOT .. ">" })
    local head, sender = p:state().head, p:state().sender
    p:mail { from = sender }
    t.no_opinion(p:message {})
    t.equal(head, p:state().head)
    t.equal(sender, p:state().sender)
  end)

  t.it("keeps the local part within 64 octets, and different senders apart", function()
    local long = ("x"):rep(60)
    local one = after(policy(), long .. "1@systemname.tld.upenn.edu", { "Subject: x" }):state().sender
    local two = after(policy(), long .. "2@systemname.tld.upenn.edu", { "Subject: x" }):state().sender
    t.truthy(#one:match("^[^@]+") <= 64, one)
    t.contains(one, "sampleaccount+xxx")
    t.contains(one, "@tld.upenn.edu")
    t.truthy(one ~= two, one)
    t.equal(one, after(policy(), long .. "1@systemname.tld.upenn.edu", { "Subject: x" }):state().sender)
  end)

  t.it("leaves the null sender alone, and the sender alone that only From names", function()
    local p = after(policy(), "", { "From: " .. ROOT })
    t.equal("", p:state().sender or "")
    t.equal(REWRITTEN, p:header "From")
  end)

  t.it("gives addresses without a domain one, if it is told which", function()
    t.equal("root", after(policy(), ROOT, { "From: root" }):header "From")
    local p = after(policy { unqualified = "systemname.tld.upenn.edu" }, ROOT, { "From: root" })
    t.equal(REWRITTEN, p:header "From")
  end)

  t.it("keeps no original where that is not wanted", function()
    t.equal(nil, after(policy { keep_original = false }, ROOT, { "From: " .. ROOT }):header "X-Original-From")
  end)

  t.it("wants a template that makes addresses", function()
    t.raises("option 'template'", policy, { template = "no address" })
    t.raises("option 'template'", policy, { template = "{user}@example.edu" })
    t.raises("option 'domains'", policy, { domains = {} })
  end)

  t.it("makes addresses that allow-lists with the account's name let pass", function()
    local p = t.policy("allow", {}, { text = [[
      local relay = require "relay"
      return relay.policy { name = "allow", api = 1, setup = function()
        return { mail = function(txn)
          if not relay.address.is_allowed("sampleaccount@tld.upenn.edu", txn.sender.address, "+") then
            return relay.reject { rule = "not-allowed" }
          end
        end }
      end }]] })
    t.no_opinion(p:mail { from = REWRITTEN })
    t.no_opinion(p:mail { from = "SampleAccount@tld.upenn.edu" })
    t.verdict(p:mail { from = "sampleaccount2+x@tld.upenn.edu" }, "reject")
    t.verdict(p:mail { from = "sampleaccount+x@upenn.edu" }, "reject")
  end)
end)
