-- Prosody for the interop tests: loopback only, WebSocket only, a domain for each way to log in.
-- The words between at-signs are filled in when the server starts.

run_as_root = true -- a container may have no other user
data_path = "@folder@/data"
plugin_paths = { "@folder@" }
certificates = "@folder@" -- looked into for more certificates; there are none
log = { { levels = { min = "info" }, to = "file", filename = "@folder@/prosody.log" } }

interfaces = { "127.0.0.1" }
c2s_ports = {}
s2s_ports = {}
http_interfaces = { "127.0.0.1" }
https_interfaces = { "127.0.0.1" }
http_ports = { @http_port@ }
https_ports = { @https_port@ }
http_default_host = "localhost" -- clients send the address as their HTTP host

modules_enabled = { "saslauth", "websocket", "disco", "ping", "roster" }
modules_disabled = { "s2s" }

c2s_require_encryption = false -- SCRAM is tried over ws:// as well

-- TLS is set up for each port, not for each domain, so the certificate names all domains and the
-- port asks every client for a certificate of its own. A client that has none is let in.
https_ssl = {
	certificate = "@chain@",
	key = "@key@",
	cafile = "@authority@",
	capath = false,
	protocol = "tlsv1_2+",
	verify = { "peer", "client_once" },
	verifyext = { lsec_ignore_purpose = false },
}

VirtualHost "localhost"
authentication = "internal_hashed"

VirtualHost "sha256.localhost"
authentication = "internal_hashed"
password_hash = "SHA-256"

VirtualHost "sha384.localhost"
authentication = "scram_sha384"

VirtualHost "anonymous.localhost"
authentication = "anonymous"

VirtualHost "oauth.localhost"
modules_enabled = { "sasl_oauthbearer" }
authentication = "oauthbearer"
oauth_client_id = "interop"
oauth_client_secret = "interop"
oauth_url = "@validator@{{password}}" -- where Prosody puts the token

VirtualHost "cert.localhost"
authentication = "ccert"
certificate_match = "xmppaddr"
