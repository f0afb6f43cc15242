-- schema/gen/c_headers.lua - writes the C headers that the tables of schema/ stand for.
--
-- usage: luajit c_headers.lua SCHEMADIR OUTDIR VERSION
--
-- The headers hold enums and X-macros only; the .c file that owns a noun makes its table from the macro. A header whose text did
-- not change is not written, so that nothing is compiled twice. A mistake in a table ends the build with its file and name.

local schema_dir, out_dir, version = arg[1], arg[2], arg[3]
if not version then
  io.stderr:write("usage: luajit c_headers.lua SCHEMADIR OUTDIR VERSION\n")
  os.exit(2)
end

local function fail(file, ...)
  io.stderr:write("schema/", file, ": ", string.format(...), "\n")
  os.exit(1)
end

local function load_table(file)
  local chunk, err = loadfile(schema_dir .. "/" .. file)
  if not chunk then fail(file, "%s", err) end
  return chunk()
end

local function c_string(s)
  return '"' .. s:gsub('[%c?"\\\128-\255]', function(c) return ("\\%03o"):format(c:byte()) end) .. '"'
end

local function check_names(file, names)
  local seen = {}
  for _, name in ipairs(names) do
    if not name:match("^[a-z][a-z0-9_]*$") then fail(file, "%q is not a lower_case name", name) end
    if seen[name] then fail(file, "%q is there twice", name) end
    seen[name] = true
  end
  return seen
end

local function column(list, key)
  local all = {}
  for i, item in ipairs(list) do all[i] = item[key] end
  return all
end

-- "#define NAME(X) \" and a line per item.
local function x_macro(name, lines)
  local out = { "#define " .. name .. "(X)" }
  for _, line in ipairs(lines) do out[#out + 1] = "\tX(" .. line .. ")" end
  return table.concat(out, " \\\n") .. "\n"
end

-- An enum of all items and a last PREFIX_MAX_.
local function enum(name, prefix, names)
  local out = { "enum " .. name .. " {" }
  for _, n in ipairs(names) do out[#out + 1] = "\t" .. prefix .. "_" .. n:upper() .. "," end
  out[#out + 1] = "\t" .. prefix .. "_MAX_\n};\n"
  return table.concat(out, "\n")
end

local function write(file, source, parts)
  local text = ("/* gen/%s - made from schema/%s by schema/gen/c_headers.lua; edit that. */\n#pragma once\n\n%s")
    :format(file, source, table.concat(parts, "\n"))
  local path = out_dir .. "/" .. file
  local old = io.open(path, "rb")
  local same = false
  if old then
    same = old:read("*a") == text
    old:close()
  end
  if same then return end
  local new = assert(io.open(path, "wb"))
  assert(new:write(text))
  assert(new:close())
end

-- ---- log events ------------------------------------------------------------------------------------------------------

local FIELD_TYPES = { str = true, int = true, bool = true, json = true }

-- A template becomes text in which octet 1 begins a field and octet 2 ends it: 1, field number + 1, 3 if it is to be upper case,
-- the default, 2. The lines of an event are "service TAB template", with a newline between them.
local function compile_template(file, event, template, field_number, allowed)
  local bad
  local text = template:gsub("{([^}]*)}", function(inside)
    local name, upper, default = inside:match("^([a-z0-9_]+)(%^?)|?(.*)$")
    if not allowed[name] then bad = bad or inside end
    return string.char(1, (field_number[name] or 0) + 1) .. (upper == "^" and "\3" or "") .. (default or "") .. "\2"
  end)
  if bad then fail(file, "event %s: its Postfix form has {%s}, which is no field of it", event, bad) end
  return text
end

local function log_events()
  local file = "log_events.lua"
  local t = load_table(file)
  local field_names, event_names = column(t.fields, 1), column(t.events, 1)
  local known_field = check_names(file, field_names)
  local known_level = check_names(file, t.levels)
  check_names(file, event_names)
  for _, reserved in ipairs { "time", "level", "event", "node", "worker" } do
    if known_field[reserved] then fail(file, "%q is in every record and cannot be a field", reserved) end
  end
  if #t.fields > 250 then fail(file, "more than 250 fields") end

  local number, field_lines = {}, {}
  for i, f in ipairs(t.fields) do
    if not FIELD_TYPES[f[2]] then fail(file, "field %s: unknown type %s", f[1], tostring(f[2])) end
    if type(f[3]) ~= "string" then fail(file, "field %s has no doc", f[1]) end
    number[f[1]] = i - 1
    field_lines[i] = ("%s, %q, %s, %d"):format(f[1]:upper(), f[1], f[2]:upper(), f.max or 1024)
  end

  local words = math.floor((#t.fields + 31) / 32)
  local event_lines = {}
  for i, e in ipairs(t.events) do
    local name, level, doc, fields, postfix = e[1], e[2], e[3], e[4], e[5]
    if not known_level[level] then fail(file, "event %s: unknown level %s", name, tostring(level)) end
    if type(doc) ~= "string" or type(fields) ~= "table" then fail(file, "event %s: wants a doc and fields", name) end
    local mask, allowed = {}, {}
    for w = 1, words do mask[w] = 0 end
    for _, f in ipairs(fields) do
      if not known_field[f] then fail(file, "event %s: unknown field %s", name, f) end
      if allowed[f] then fail(file, "event %s: field %s is there twice", name, f) end
      allowed[f] = true
      local w = math.floor(number[f] / 32) + 1
      mask[w] = mask[w] + 2 ^ (number[f] % 32)
    end
    local lines = {}
    for _, line in ipairs(postfix or {}) do
      lines[#lines + 1] = line[1] .. "\t" .. compile_template(file, name, line[2], number, allowed)
    end
    for w = 1, words do mask[w] = ("0x%08xu"):format(mask[w]) end
    event_lines[i] = ("%s, %q, %s, %s, %s"):format(name:upper(), name, level:upper(),
      postfix and c_string(table.concat(lines, "\n")) or "NULL", table.concat(mask, ", "))
  end

  local level_lines = {}
  for i, l in ipairs(t.levels) do level_lines[i] = ("%s, %q"):format(l:upper(), l) end

  write("log_events.h", file, {
    enum("log_level", "LOG_LEVEL", t.levels),
    enum("log_field", "LOG_F", field_names),
    enum("log_event", "LOG_EV", event_names),
    "enum { LOG_FIELD_WORDS = " .. words .. " };\n",
    "/* X(NAME, text) */\n" .. x_macro("LOG_LEVEL_MAP", level_lines),
    "/* X(NAME, text, TYPE, octets at most) */\n" .. x_macro("LOG_FIELD_MAP", field_lines),
    "/* X(NAME, text, LEVEL, Postfix form or NULL, words of the bit set of its fields ...) */\n"
      .. x_macro("LOG_EVENT_MAP", event_lines),
  })
end

-- ---- metrics ---------------------------------------------------------------------------------------------------------

local METRIC_KINDS = { counter = true, gauge = true, histogram = true }

local function metrics()
  local file = "metrics.lua"
  local t = load_table(file)
  check_names(file, column(t, 1))
  local lines, histograms = {}, 0
  for i, m in ipairs(t) do
    local name, kind, doc = m[1], m[2], m[3]
    if not METRIC_KINDS[kind] then fail(file, "%s: unknown kind %s", name, tostring(kind)) end
    if type(doc) ~= "string" then fail(file, "%s has no doc", name) end
    if (kind == "counter") ~= (name:match("_total$") ~= nil) then
      fail(file, "%s: counters, and only they, end in _total", name)
    end
    if m.unit and m.unit ~= "us" then fail(file, "%s: unknown unit %s", name, m.unit) end
    if m.unit and not (name:match("_seconds$") or name:match("_seconds_total$")) then
      fail(file, "%s is published in seconds and must say so", name)
    end
    if m.label and kind ~= "counter" then fail(file, "%s: only counters have labels", name) end
    local bounds, slot = {}, -1
    if kind == "histogram" then
      if not m.bounds or #m.bounds == 0 or #m.bounds > 24 then fail(file, "%s: wants 1 to 24 bounds", name) end
      for b, bound in ipairs(m.bounds) do
        if bound % 1 ~= 0 or (b > 1 and bound <= m.bounds[b - 1]) then fail(file, "%s: bounds must be ascending integers", name) end
        bounds[b] = ("%d"):format(bound)
      end
      slot = histograms
      histograms = histograms + 1
    elseif m.bounds then
      fail(file, "%s: only histograms have bounds", name)
    end
    lines[i] = ("%s, %q, %s, %s, %s, %s, %d, %d, %s"):format(name:upper(), "postern_" .. name, kind:upper(),
      m.unit and m.unit:upper() or "NONE", m.label and c_string(m.label) or "NULL", c_string(doc), slot, #bounds,
      #bounds > 0 and table.concat(bounds, ", ") or "0")
  end
  write("metrics.h", file, {
    enum("metric", "METRIC", column(t, 1)),
    "enum { METRIC_HISTOGRAMS = " .. histograms .. " };\n",
    "/* X(NAME, published name, KIND, UNIT, label or NULL, doc, index in the shard or -1, number of bounds, bounds ...) */\n"
      .. x_macro("METRIC_MAP", lines),
  })
end

-- ---- hooks -----------------------------------------------------------------------------------------------------------

local function hooks()
  local file = "hooks.lua"
  local t = load_table(file)
  local known_verdict = check_names(file, t.verdicts)
  check_names(file, column(t.hooks, "name"))
  check_names(file, column(t.observers, "name"))
  local hook_lines, allowed_lines, observer_lines, verdict_lines = {}, {}, {}, {}
  for i, v in ipairs(t.verdicts) do verdict_lines[i] = ("%s, %q"):format(v:upper(), v) end
  for i, h in ipairs(t.hooks) do
    hook_lines[i] = ("%s, %q"):format(h.name:upper(), h.name)
    for _, v in ipairs(h.verdicts) do
      if not known_verdict[v] then fail(file, "hook %s: unknown verdict %s", h.name, v) end
      allowed_lines[#allowed_lines + 1] = h.name:upper() .. ", " .. v:upper()
    end
  end
  for i, o in ipairs(t.observers) do
    if o.verdicts then fail(file, "observer %s cannot decide", o.name) end
    observer_lines[i] = ("%s, %q"):format(o.name:upper(), o.name)
  end
  write("hook_ids.h", file, {
    enum("hook_id", "HOOK", column(t.hooks, "name")),
    enum("observer_id", "OBSERVER", column(t.observers, "name")),
    "/* X(NAME, text) */\n" .. x_macro("HOOK_MAP", hook_lines),
    "/* X(NAME, text) */\n" .. x_macro("OBSERVER_MAP", observer_lines),
    "/* X(NAME, text): what a policy can say */\n" .. x_macro("HOOK_VERDICT_MAP", verdict_lines),
    "/* X(HOOK, VERDICT): for each verdict that a hook may return */\n" .. x_macro("HOOK_ALLOWED_MAP", allowed_lines),
  })
end

log_events()
metrics()
hooks()
write("version.h", "generate.cmake", { ('#define POSTERN_VERSION "%s"\n'):format(version) })
