-- reverse_dns.lua - a client's address must lead to a name and the name back to the address.
--
-- rcpt  refuse recipients from clients whose name is not confirmed; put it behind internal_domains, so that mail to our own domains
--       goes through all the same
--
-- A resolver that does not answer is not a mismatch: the client is asked to come again (451), never refused for good. On a listener
-- that does not look names up itself (reverse_dns = false) the policy asks.

local relay = require "relay"

local reasons = {
  no_ptr = "%s has no name in the DNS (PTR record)",
  mismatch = "%s: its name %s has no matching address record",
}

return relay.policy {
  name = "reverse_dns", api = 1,
  doc = "Requires forward-confirmed reverse DNS of clients.",
  options = {
    exempt = { type = "list<cidr>", default = {}, doc = "networks without names: NAT, containers" },
    domains = { type = "list<string>", default = {}, doc = "confirmed names must be in these domains; empty: any name will do" },
  },
  setup = function(opt)
    local exempt = relay.cidr.set(opt.exempt)
    local domains = #opt.domains > 0 and relay.domains.set(opt.domains)
    local on = {}

    local function known(names)
      for _, name in ipairs(names) do
        if domains:contains(name) then return true end
      end
      return false
    end

    function on.rcpt(txn)
      local ip = txn.conn.remote_ip
      if exempt:contains(ip) then return nil end
      local reverse = txn.conn.reverse
      if reverse.status == "off" then reverse = relay.dns.reverse(ip) end
      if reverse.status == "temperror" then
        return relay.defer { code = 451, enhanced = "4.7.25", rule = "reverse-dns-unknown",
          text = ("the DNS does not tell the name of %s now; try again later"):format(ip) }
      end
      local reason = reasons[reverse.status]
      if reason then
        return relay.reject { code = 550, enhanced = "5.7.25", rule = "reverse-dns",
          text = reason:format(ip, reverse.name or "") .. "; only internal recipients are allowed" }
      end
      if reverse.status == "pass" and domains and not known(reverse.names) then
        return relay.reject { code = 550, enhanced = "5.7.25", rule = "reverse-dns-domain",
          text = ("%s is %s, which is not in a domain that may send from here"):format(ip, reverse.name) }
      end
    end
    return on
  end,
}
