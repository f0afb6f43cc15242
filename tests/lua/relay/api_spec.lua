-- The examples of schema/lua_api.lua say the truth.
local t = require "relay.testing"
local api = require "schema.lua_api"

local function policy(example)
  return t.policy("p", {}, { text = ([[
    local relay = require "relay"
    return relay.policy { name = "p", api = 1, setup = function()
      local function list(...)
        local out = {}
        for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
        return table.concat(out, " ")
      end
      return { connect = function() return relay.reject { rule = "x", text = list(%s) } end }
    end }]]):format(example) }):dns {
      ["example.org"] = { mx = "10 a.example.org", txt = "v=spf1 -all" },
      ["a.example.org"] = "192.0.2.1", ["192.0.2.1"] = "a.example.org", ["1.2.0.192.bl.example"] = "127.0.0.2",
    }
end

for _, module in ipairs(api.modules) do
  for _, f in ipairs(module.functions) do
    if f.example then
      t.it(module[1] .. "." .. f[1], function()
        local p = policy(f.example)
        local v = p:connect()
        if v.broken then t.fail("%s: %s", f.example, p:log()[1].text) end
        t.equal(f.gives, v.text or "", f.example)
      end)
    end
  end
end
