---@meta _
-- An app: its manifest, its routes, and tidewire.lua, the settings beside it.

---The app, as its callbacks get it.
---@class tidewire.app
---@field state table A table of the app's own, in each worker; there from the beginning; plain data.
---@field root string The app's folder.
---@field state_version integer The manifest's.

---What a script passes to `tidewire.app`.
---@class tidewire.manifest
---@field routes table<string, tidewire.handler | tidewire.endpoint | tidewire.files | tidewire.route> By pattern.
---@field timers? table<string, tidewire.manifest.timer> By name.
---Before the first connection; may wait; raising, false, or nil and a message, ends the command.
---@field start? fun(app: tidewire.app): ...
---@field stop? fun(app: tidewire.app): ... After the last connection.
---A test of its own, of each version: raising, false, or nil and a message, refuses it. It may not act.
---@field check? fun(): ...
---@field state_version? integer The form of the state; from 1, which is the default.
---app.state of an older state_version -> the new one. It leaves what it gets as it is; it may neither wait nor act.
---@field migrate? fun(old: table, from: integer): table
---app.state -> that of an older state_version: for a rollback to it.
---@field downgrade? fun(state: table, to: integer): table

---A repeating timer of the app.
---@class tidewire.manifest.timer
---@field every tidewire.duration Above 0.
---@field run fun(app: tidewire.app): ... A run that lasts longer than `every` is not joined by a second one.

---A route with options.
---@class tidewire.route: tidewire.handler_options
---@field handler tidewire.handler | tidewire.endpoint | tidewire.files
---@field methods? tidewire.method[] Of an endpoint: others get 405; GET brings HEAD. By default it answers all.

---@alias tidewire.method "DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT"

---What an endpoint returns first: a status, or all of its answer.
---@alias tidewire.answer integer | string | table | tidewire.refusal | nil

---A small HTTP endpoint. It returns status, body, headers; or a body alone (200); or nothing (204); or a refusal. A
---table as body is sent as JSON.
---@alias tidewire.endpoint fun(req: tidewire.request): tidewire.answer, (string | table | nil), tidewire.headers?

---@alias tidewire.log_level "debug" | "info" | "warn" | "error"

---What tidewire.lua returns: `---@type tidewire.settings`.
---@class tidewire.settings
---@field listen? string | string[] URLs: ws://, wss://, unix:, systemd:. By default ws://127.0.0.1:8080.
---@field control? string Path of the control socket, or "off"; by default .tidewire.sock beside the app.
---@field log? tidewire.log_level | { level?: tidewire.log_level, file?: string } "info" and stderr by default.
---@field proxies? string[] Trusted proxies: addresses, networks such as "10.0.0.0/8", "unix"; none by default.
---@field tls? { certificates: { cert: string, key: string }[], client_ca?: string, client?: "required" | "optional" }
---@field workers? integer Worker processes, 1 to 256; 1 by default.
---@field limits? tidewire.process_limits
