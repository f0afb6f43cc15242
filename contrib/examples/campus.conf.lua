-- campus.conf.lua - a relay for the devices of a campus: copiers and servers, each with networks of their own; the rest of the
-- world is reached through a provider.

hostname = "smtp-relay.example.edu"
data_dir = "/var/lib/postern"
control = "/run/postern/control.sock"
user = "postern"
help_url = "https://help.example.edu/smtp-relay"
help_text = "Service desk, 555-0100, help@example.edu"

log = { format = "json", level = "info" }
queue = { retry = "5m,15m,30m,1h,2h,4h", lifetime = "3d", delay_notice = "4h,1d" }

local copiers = { "192.0.2.0/25", "2001:db8:1::/48" }
local servers = { "198.51.100.0/24" }

-- What an old copier gets away with; strangers do not.
profile "copiers" {
  lax = { "space", "brackets", "underscore", "helo" },
  newlines = "normalise",
  early = true,
  hide = { "CHUNKING", "BINARYMIME" },
}

-- Asked in this order. A recipient that nobody accepts is refused.
local campus = {
  use "helo_characters" { forbidden = "&" },
  use "rate_limits" { per_device = "60/hour,burst=60" },
  use "internal_domains" { domains = file "internal-domains.txt", from = { "192.0.2.0/24", "198.51.100.0/24" } },
  use "relay_networks" { networks = copiers, profile = "copiers" },
  use "relay_networks" { networks = servers },
}

listener "relay" {
  bind = { "0.0.0.0:25", "[::]:25" },
  policies = campus,
  message_size = "50MB",
  clients = { per_client = 20, total = 1000 },
  etrn_from = servers,
}

-- Our own mail hosts take mail for us; the MX records say the same, but this needs no DNS.
route { "example.edu", ".example.edu" } {
  name = "internal",
  via = { { host = "[mail1.example.edu]", weight = 3 }, { host = "[mail2.example.edu]", weight = 1 } },
  connections = 50,
}

route "*" { via = "[smtp.upstream.example]:587", rate = "600/min", messages_per_connection = 50 }
