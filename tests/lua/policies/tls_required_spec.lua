-- tls_required: who must have TLS, and how new.
local t = require "relay.testing"

local function policy(options)
  return t.policy("tls_required", options)
end

t.describe("tls_required", function()
  t.it("refuses clear mail of a network, at once", function()
    local p = policy { networks = { "192.0.2.0/24" } }
    local v = p:mail { remote_ip = "192.0.2.7", from = "a@b.example" }
    t.verdict(v, "reject", 530, "Must issue a STARTTLS command first", "tls-required")
    t.equal(true, v.now)
    t.no_opinion(p:mail { remote_ip = "198.51.100.7", from = "a@b.example" })
  end)

  t.it("refuses clear mail of a sender's domain", function()
    local p = policy { senders = { "hospital.example", ".clinic.example" } }
    t.verdict(p:mail { from = "a@hospital.example" }, "reject", 530)
    t.verdict(p:mail { from = "a@x.clinic.example" }, "reject", 530)
    t.no_opinion(p:mail { from = "a@evil-hospital.example" })
    t.no_opinion(p:mail { from = "" })
  end)

  t.it("lets them pass under TLS that is new enough", function()
    local p = policy { networks = { "192.0.2.0/24" } }
    t.no_opinion(p:mail { remote_ip = "192.0.2.7", from = "a@b.example", tls_version = "TLSv1.3" })
    t.no_opinion(p:mail { tls_version = "TLSv1.2" })
    t.verdict(p:mail { tls_version = "TLSv1.1" }, "reject", 550, "TLSv1.1 is too old; TLS 1.2 or newer", "tls-too-old")
    t.no_opinion(policy({ networks = { "192.0.2.0/24" }, min = "1.0" }):mail { remote_ip = "192.0.2.7", tls_version = "TLSv1" })
  end)
end)
