-- relay_networks.lua - clients that may send to anybody, by their address: servers, and devices until they are registered.
--
-- connect  give them a profile, if one is named
-- rcpt     accept every recipient from them
--
-- Put it behind what must hold for them as well (reverse_dns, rate_limits): the first policy that decides ends the stage.

local relay = require "relay"

return relay.policy {
  name = "relay_networks", api = 1,
  doc = "Accepts every recipient from named networks.",
  options = {
    networks = { type = "list<cidr>", required = true, min = 1, doc = "networks that may relay" },
    profile = { type = "string", default = "", doc = "profile of tolerated quirks for these clients" },
  },
  setup = function(opt)
    local networks = relay.cidr.set(opt.networks)
    local on = {}
    if opt.profile ~= "" then
      function on.connect(conn)
        if networks:contains(conn.remote_ip) then conn:use_profile(opt.profile) end
      end
    end
    function on.rcpt(txn, rcpt)
      if not networks:contains(txn.conn.remote_ip) then return nil end
      if rcpt.domain == "" then return nil end
      if rcpt.routed_local then
        return relay.reject { code = 550, enhanced = "5.7.1", rule = "routed-recipient",
          text = "recipient names a route; write the address as user@domain" }
      end
      return relay.accept { rule = "relay-network" }
    end
    return on
  end,
}
