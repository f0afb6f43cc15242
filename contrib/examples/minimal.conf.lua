-- minimal.conf.lua - one network may send to anybody; mail goes to the MX hosts of its domain.

hostname = "relay.example.org"

listener "relay" {
  bind = "0.0.0.0:25",
  policies = { use "relay_networks" { networks = { "192.0.2.0/24" } } },
}
