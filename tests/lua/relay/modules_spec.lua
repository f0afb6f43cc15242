-- relay.text, relay.cidr, relay.domains, relay.json, relay.time, relay.address: one example of everything.
local t = require "relay.testing"

local function eval(expression)
  local p = t.policy("p", {}, { text = ([[
    local relay = require "relay"
    return relay.policy { name = "p", api = 1, setup = function()
      local function list(...)
        local out = {}
        for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
        return table.concat(out, " ")
      end
      return { connect = function(conn) return relay.reject { rule = "x", text = list((function() %s end)()) } end }
    end }]]):format(expression) })
  local v = p:connect()
  if v.broken then return "error: " .. p:log()[1].text end
  return v.text or ""
end

local function gives(want, expression)
  t.equal(want, eval(expression), expression)
end

t.describe("relay.text", function()
  t.it("matches without patterns", function()
    gives("& 2", [[return relay.text.find_any("a&b", "%%&")]])
    gives("", [[return relay.text.find_any("ab", "%%&")]])
    gives("3", [[return relay.text.find("a.b", "b")]])
    gives("true false true", [[return relay.text.glob("mfp-12.example.edu", "mfp-*.edu"), relay.text.glob("x", "?? "),
      relay.text.glob("", "*")]])
    gives("true false", [[return relay.text.iglob("MFP-1", "mfp-?"), relay.text.glob("MFP-1", "mfp-?")]])
    gives("true true true", [[return relay.text.prefix("abc", "ab"), relay.text.suffix("abc", "bc"),
      relay.text.iequals("aBc", "AbC")]])
  end)
  t.it("takes texts apart", function()
    gives("3 b ", [[local l = relay.text.split("a,b,", ",") return #l, l[2], l[3] ]])
    gives("[x y]", [[return "[" .. relay.text.trim("  x y\t\r\n") .. "]"]])
    gives("abc", [[return relay.text.lower("ABC")]])
    gives("true false true false", [[return relay.text.is_ascii("a"), relay.text.is_ascii("\195\164"),
      relay.text.is_utf8("\195\164"), relay.text.is_utf8("\195")]])
  end)
end)

t.describe("relay.cidr", function()
  t.it("knows networks of both families", function()
    gives("true false true false", [[local s = relay.cidr.set { "192.0.2.0/24", "2001:db8::/32" }
      return s:contains("192.0.2.7"), s:contains("192.0.3.7"), s:contains("2001:db8::1"), s:contains("nonsense")]])
    gives("true", [[return relay.cidr.contains("10.0.0.0/8", "10.1.2.3")]])
    gives("192.0.2.0/24 2001:db8::/64", [[return relay.cidr.network("192.0.2.7", 24, 64),
      relay.cidr.network("2001:db8::1", 24, 64)]])
    t.contains(eval [[relay.cidr.set { "192.0.2.0/33" }]], "is no address and no network")
  end)
end)

t.describe("relay.domains", function()
  t.it("matches whole names, and what is below a dot", function()
    gives("true true false true false false", [[local s = relay.domains.set { "Example.EDU", ".example.net" }
      return s:contains("example.edu"), s:contains("EXAMPLE.EDU."), s:contains("evil-example.edu"), s:contains("a.b.example.net"),
        s:contains("example.net"), s:contains("")]])
    gives(".example.net", [[return relay.domains.set({ "*.example.net" }):find("x.example.net")]])
  end)
  t.it("holds many", function()
    gives("true false", [[local l = {} for i = 1, 20000 do l[i] = "d" .. i .. ".example" end
      local s = relay.domains.set(l) return s:contains("d19999.example"), s:contains("d20001.example")]])
  end)
end)

t.describe("relay.json", function()
  t.it("goes both ways", function()
    gives('[1,"a",true,{"k":[]}]', [[return (relay.json.encode({ 1, "a", true, { k = {} } }):gsub("{}", "[]"))]])
    gives("2 x nil", [[local v = relay.json.decode('{"a":[1,2],"b":"x","c":null}') return v.a[2], v.b, v.c]])
    gives("nil ',' or ']' is expected", [[return relay.json.decode("[1 2]")]])
    t.contains(eval [[relay.json.encode({ f = function() end })]], "no plain data")
  end)
end)

t.describe("relay.time", function()
  t.it("reads and writes dates", function()
    gives("1798675200 1798675199 1798671600 nil", [[return relay.time.parse("2026-12-31"),
      relay.time.parse("2026-12-30T23:59:59Z"),
      relay.time.parse("2026-12-31 00:00+01:00"), relay.time.parse("2026-02-30")]])
    gives("2026-12-31T00:00:00Z", [[return relay.time.format(1798675200)]])
    gives("2026 12 31 4", [[local d = relay.time.utc(1798675200) return d.year, d.month, d.day, d.weekday]])
    gives("true", [[return relay.time.now() > 1700000000]])
  end)
end)

t.describe("relay.address", function()
  t.it("parses and rewrites", function()
    gives("a@example.org a example.org", [[local a = relay.address.parse("a@EXAMPLE.org") return a.address,
      a.local_part, a.domain]])
    gives("nil", [[return relay.address.parse("no address")]])
    gives("s+root-h.example.edu@example.edu", [[return relay.address.rewrite("s+{local}-{domain}@example.edu",
      "root@h.example.edu")]])
    gives("user", [[return relay.address.base("user+tag")]])
    gives("true false true", [[return relay.address.is_allowed("a@x.example", "A@X.example"),
      relay.address.is_allowed("a@x.example", "a+t@x.example"),
      relay.address.is_allowed("a@x.example", "a+t@x.example", "+")]])
  end)
end)

t.describe("relay.metric and relay.log", function()
  t.it("count and say", function()
    local p = t.policy("p", {}, { text = [[local relay = require "relay" return relay.policy { name = "p", api = 1,
      setup = function()
      return { connect = function(conn) relay.metric.count("seen", conn.remote_ip) relay.log.warn("odd", { ip = conn.remote_ip })
        for i = 1, 100 do relay.log.info("many") end end } end }]] })
    t.no_opinion(p:connect { remote_ip = "192.0.2.3" })
    t.logged(p, "odd", { ip = "192.0.2.3", level = "warn", hook = "connect", policy = "p" })
    local many = 0
    for _, record in ipairs(p:log()) do
      if record.text == "many" then many = many + 1 end
    end
    t.equal(19, many, "records of one hook are bounded")
  end)
end)
