-- rewrite_sender.lua - system accounts write from root@host, where no answer can go: give them an address that works.
--
-- message  rewrite the envelope sender, From and Sender of the named domains by a template; display names stay
--
--   template = "sampleaccount+{local}-{domain}@example.edu"
--   root@web1.example.edu -> sampleaccount+root-web1.example.edu@example.edu
--
-- What was rewritten once is left alone; a local part over 64 octets ends in a hash of what was cut.

local relay = require "relay"

return relay.policy {
  name = "rewrite_sender", api = 1,
  doc = "Rewrites the senders of system accounts in envelope and header.",
  options = {
    domains = { type = "list<string>", required = true, min = 1,
      doc = "sender domains to rewrite, exact, or with a dot for all below" },
    template = { type = "template", required = true, doc = "new address, with {local} and {domain}" },
    unqualified = { type = "domain", doc = "domain of addresses that have none (From: root)" },
    keep_original = { type = "boolean", default = true, doc = "keep the old address in X-Original-From" },
  },
  setup = function(opt)
    local domains = relay.domains.set(opt.domains)
    local spelled, on = {}, {}
    for i, domain in ipairs(opt.domains) do
      spelled[i] = domain:gsub("^%*%.", "."):gsub("%.$", "") -- as the set reads them, so does the header
    end

    -- A field can have addresses of several of the domains; the original is what it was before the first.
    local function rewrite_header(msg)
      local before = msg:count("X-Original-From")
      for _, domain in ipairs(spelled) do
        msg:rewrite_senders { template = opt.template, domain = domain, default_domain = opt.unqualified,
          keep_original = opt.keep_original and msg:count("X-Original-From") == before }
      end
    end

    function on.message(txn, msg)
      local sender = txn.sender
      if domains:contains(sender.domain) then
        local rewritten = relay.address.rewrite(opt.template, sender.address)
        if rewritten and rewritten ~= sender.address then msg:set_sender(rewritten) end
      end
      rewrite_header(msg)
    end
    return on
  end,
}
