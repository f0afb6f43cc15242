-- tls_required.lua - mail of some networks or senders is taken under TLS only, on a listener that takes other mail without: what
-- partners agreed to encrypt both ways, networks that are to give up old clients one after the other.
--
-- mail  refuse, at once, what comes without TLS, or with an older version than is wanted

local relay = require "relay"

local AGE = { ["TLSv1"] = 1, ["TLSv1.1"] = 2, ["TLSv1.2"] = 3, ["TLSv1.3"] = 4 }
local MIN = { ["1.0"] = 1, ["1.1"] = 2, ["1.2"] = 3, ["1.3"] = 4 }

return relay.policy {
  name = "tls_required", api = 1,
  doc = "Refuses mail without TLS from some networks or senders.",
  options = {
    networks = { type = "list<cidr>", default = {}, doc = "clients that must have it" },
    senders = { type = "list<string>", default = {}, doc = "domains of senders whose mail must; with a dot in front all below" },
    min = { type = "enum", values = { "1.0", "1.1", "1.2", "1.3" }, default = "1.2", doc = "the oldest version that will do" },
  },
  setup = function(opt)
    local networks = relay.cidr.set(opt.networks)
    local senders = relay.domains.set(opt.senders)
    local on = {}
    function on.mail(txn, sender)
      local conn = txn.conn
      if not networks:contains(conn.remote_ip) and not senders:contains(sender.domain) then return nil end
      if not conn.tls_version then
        return relay.reject { code = 530, enhanced = "5.7.0", rule = "tls-required", now = true,
          text = "Must issue a STARTTLS command first" }
      end
      if (AGE[conn.tls_version] or 0) < MIN[opt.min] then
        return relay.reject { code = 550, enhanced = "5.7.10", rule = "tls-too-old", now = true,
          text = ("%s is too old; TLS %s or newer is wanted here"):format(conn.tls_version, opt.min) }
      end
    end
    return on
  end,
}
