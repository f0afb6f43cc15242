-- internal_domains.lua - who may send to our own domains, registered or not.
--
-- rcpt  accept a recipient of an internal domain from the networks that may
--
-- Names match exactly (evil-example.edu is not example.edu, and x.example.edu is internal only if it is listed); ".example.edu" is
-- everything under example.edu. A local part that holds a route (a%b, a!b, "a@b") is refused: the host behind us might follow it.

local relay = require "relay"

return relay.policy {
  name = "internal_domains", api = 1,
  doc = "Accepts recipients in internal domains.",
  options = {
    domains = { type = "list<string>", required = true, min = 1,
      doc = "internal domains, exact, or with a dot in front for all below" },
    from = { type = "list<cidr>", default = {}, doc = "networks that may send to them; empty: everybody who may connect" },
  },
  setup = function(opt)
    local internal = relay.domains.set(opt.domains)
    local from = #opt.from > 0 and relay.cidr.set(opt.from)
    local on = {}
    function on.rcpt(txn, rcpt)
      if from and not from:contains(txn.conn.remote_ip) then return nil end
      if not internal:contains(rcpt.domain) then return nil end
      if rcpt.routed_local then
        return relay.reject { code = 550, enhanced = "5.7.1", rule = "routed-recipient",
          text = "recipient names a route; write the address as user@domain" }
      end
      return relay.accept { rule = "internal-domain" }
    end
    return on
  end,
}
