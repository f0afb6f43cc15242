-- What policies find in their sandbox works as Lua 5.1 says: strings, tables, xpcall.
local t = require "relay.testing"

-- The value of a Lua expression as a policy computes it, as text.
local function eval(expression)
  local p = t.policy("p", {}, { text = ([[
    local relay = require "relay"
    return relay.policy { name = "p", api = 1, setup = function()
      local function list(...)
        local out = {}
        for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
        return table.concat(out, ",")
      end
      return { connect = function(conn) return relay.reject { rule = "x", text = list((function() %s end)()) } end }
    end }]]):format(expression) })
  local v = p:connect()
  if v.broken then t.fail("%s", p:log()[1].text) end
  return v.text or ""
end

local function same(expression)
  local function list(...)
    local out = {}
    for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
    return table.concat(out, ",")
  end
  t.equal(list(assert(loadstring(expression))()), eval(expression), expression)
end

t.describe("string", function()
  t.it("finds and matches as Lua does", function()
    same [[return ("hello world"):find("o w")]]
    same [[return ("hello world"):find("l+")]]
    same [[return ("hello"):find("xyz")]]
    same [[return ("hello"):find("", 10)]]
    same [[return ("hello"):find("l", -2)]]
    same [[return ("a.b"):find(".", 1, true)]]
    same [[return ("key = value"):match("^(%w+)%s*=%s*(%w+)$")]]
    same [[return ("key = value"):match("()=()")]]
    same [[return ("f(a(b)c)d"):match("%b()")]]
    same [[return ("THE (quick) fox"):find("%((%a+)%)")]]
    same [[return ("THE (quick) fox"):match("%f[%a]%a+", 5)]]
    same [[return ("2026-11-21"):match("(%d+)-(%d+)-(%d+)")]]
    same [[return ("abcabc"):match("(a)(b)c%1%2")]]
    same [=[return ("x]y"):match("[]]"), ("x-y"):match("[a%-]"), ("x^y"):match("[x^]+")]=]
    same [[return ("a\0b"):match("a%zb") ~= nil]]
  end)

  t.it("substitutes as Lua does", function()
    same [[return ("hello world"):gsub("o", "0")]]
    same [[return ("hello world"):gsub("(%w+)", "<%1>")]]
    same [[return ("hello world"):gsub("%w+", "%0 %0", 1)]]
    same [[return ("abc"):gsub("%w*", "x")]]
    same [[return ("abc"):gsub("", "-")]]
    same [[return ("$name is $age"):gsub("%$(%w+)", { name = "Ann", age = 7 })]]
    same [[return ("a b c"):gsub("%a", function(c) if c ~= "b" then return c:upper() end end)]]
    same [[return ("abc"):gsub("^a", "x")]]
    same [[return ("100%"):gsub("%%", " percent")]]
    same [[return ("hello"):gsub("l", "%%")]]
  end)

  t.it("iterates as Lua does", function()
    same [[local out = {} for w in ("one two  three"):gmatch("%a+") do out[#out + 1] = w end return unpack(out)]]
    same [[local out = {} for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do out[#out + 1] = k .. v end return unpack(out)]]
    same [[local n = 0 for _ in ("abc"):gmatch("") do n = n + 1 end return n]]
  end)
end)

t.describe("table.sort", function()
  t.it("sorts, stably and with a comparison", function()
    same [[local l = { 5, 2, 8, 1, 9, 3 } table.sort(l) return unpack(l)]]
    same [[local l = { "b", "a", "c" } table.sort(l, function(a, b) return a > b end) return unpack(l)]]
    same [[local l = {} table.sort(l) return #l]]
    t.equal("a1,a2,b1,b2", eval [[local l = { { "b", 1 }, { "a", 1 }, { "b", 2 }, { "a", 2 } }
      table.sort(l, function(x, y) return x[1] < y[1] end)
      return l[1][1] .. l[1][2], l[2][1] .. l[2][2], l[3][1] .. l[3][2], l[4][1] .. l[4][2] ]])
  end)
end)

t.describe("errors", function()
  t.it("can be caught", function()
    same [[return pcall(function() error("x", 0) end)]]
    same [[return xpcall(function() error("x", 0) end, function(m) return m .. "!" end)]]
    same [[return xpcall(function(a) return a end, tostring, 7)]]
    same [[return select("#", pcall(error))]]
  end)
end)
