-- relay/init.lua - `relay`, as policies see it. schema/lua_api.lua describes every name in here, and a test compares the two.

local core = require "relay.core"
local policy = require "relay.policy"
local sandbox = require "relay.sandbox"

local modules = {
  address = core.address,
  cidr = core.cidr,
  dns = require "relay.dns",
  domains = core.domains,
  json = core.json,
  limit = core.limit,
  log = core.log,
  metric = core.metric,
  text = core.text,
  time = core.time,
}

local relay = {
  all = core.all,
  policy = policy.policy,
}
for name, verdict in pairs(core.verdicts) do relay[name] = verdict end
for name, module in pairs(modules) do
  relay[name] = sandbox.readonly(module, "relay." .. name)
  policy.export("relay." .. name, relay[name])
end

local view = sandbox.readonly(relay, "relay")
policy.export("relay", view)

return view
