-- tests/lint/globals_allowed.lua - mutable state at file scope that is there for a reason: { ["file.c"] = { name = "reason" } }.

return {
  ["check.c"] = {
    check_places = "a check may fail anywhere; atomic, written once per place",
    check_failures = "the same; an atomic counter",
  },
}
