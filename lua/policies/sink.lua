-- sink.lua - takes everything and throws it away: for load tests and for devices that must be kept busy.
--
-- rcpt     accept
-- message  discard, and log it

local relay = require "relay"

return relay.policy {
  name = "sink", api = 1,
  doc = "Accepts every message and discards it.",
  options = {
    networks = { type = "list<cidr>", required = true, min = 1, doc = "whose mail is thrown away" },
  },
  setup = function(opt)
    local networks = relay.cidr.set(opt.networks)
    local on = {}
    function on.rcpt(txn)
      if networks:contains(txn.conn.remote_ip) then return relay.accept { rule = "sink" } end
    end
    function on.message(txn)
      if networks:contains(txn.conn.remote_ip) then
        return relay.discard { rule = "sink", text = "thrown away on purpose" }
      end
    end
    return on
  end,
}
