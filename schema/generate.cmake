# What schema/ generates, and when: `generated` is a dependency of every layer.
file(GLOB schema_inputs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/schema/*.lua ${CMAKE_SOURCE_DIR}/schema/gen/*.lua)
set(schema_headers ${GEN}/gen/log_events.h ${GEN}/gen/metrics.h ${GEN}/gen/hook_ids.h ${GEN}/gen/version.h)
add_custom_command(OUTPUT ${schema_headers}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${GEN}/gen
  COMMAND ${LUAJIT} ${CMAKE_SOURCE_DIR}/schema/gen/c_headers.lua ${CMAKE_SOURCE_DIR}/schema ${GEN}/gen ${PROJECT_VERSION}
  DEPENDS ${schema_inputs} COMMENT "schema: C headers")
add_custom_target(generated DEPENDS ${schema_headers})

# The Lua files that are part of the program: one C file in layer policy.
file(GLOB_RECURSE embedded_lib CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/lua ${CMAKE_SOURCE_DIR}/lua/lib/*.lua ${CMAKE_SOURCE_DIR}/lua/policies/*.lua)
file(GLOB embedded_schema CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/schema/*.lua)
set(embedded_args "")
set(embedded_files ${CMAKE_SOURCE_DIR}/schema/gen/embed_lua.lua)
foreach(file IN LISTS embedded_lib)
  list(APPEND embedded_args ${file}=${CMAKE_SOURCE_DIR}/lua/${file})
  list(APPEND embedded_files ${CMAKE_SOURCE_DIR}/lua/${file})
endforeach()
foreach(file IN LISTS embedded_schema)
  list(APPEND embedded_args ${file}=${CMAKE_SOURCE_DIR}/${file})
  list(APPEND embedded_files ${CMAKE_SOURCE_DIR}/${file})
endforeach()
set(generated_sources_policy ${GEN}/gen/embedded_lua.c)
add_custom_command(OUTPUT ${generated_sources_policy}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${GEN}/gen
  COMMAND ${LUAJIT} ${CMAKE_SOURCE_DIR}/schema/gen/embed_lua.lua ${generated_sources_policy} ${embedded_args}
  DEPENDS ${embedded_files} COMMENT "schema: embedded Lua")

# The operators' table of options, for packages and the web page.
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/config.md
  COMMAND ${LUAJIT} ${CMAKE_SOURCE_DIR}/schema/gen/config_doc.lua ${CMAKE_SOURCE_DIR}/schema ${CMAKE_BINARY_DIR}/config.md
  DEPENDS ${schema_inputs} COMMENT "schema: config.md")
add_custom_target(config_doc ALL DEPENDS ${CMAKE_BINARY_DIR}/config.md)

# The reference of the policy API.
set(policy_reference ${GEN}/doc/policy-api.md)
add_custom_command(OUTPUT ${policy_reference}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${GEN}/doc
  COMMAND ${LUAJIT} ${CMAKE_SOURCE_DIR}/schema/gen/lua_reference.lua ${CMAKE_SOURCE_DIR}/schema ${policy_reference}
  DEPENDS ${CMAKE_SOURCE_DIR}/schema/lua_api.lua ${CMAKE_SOURCE_DIR}/schema/hooks.lua
          ${CMAKE_SOURCE_DIR}/schema/gen/lua_reference.lua COMMENT "schema: policy reference")
add_custom_target(reference ALL DEPENDS ${policy_reference})
install(FILES ${policy_reference} DESTINATION share/doc/postern)
