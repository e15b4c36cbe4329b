-- Prosody for the interop tests: loopback only, no federation, a domain for each way to log in.
-- What differs between versions is in the other file, which is appended to this one. The words
-- between at-signs are filled in when the server starts.

run_as_root = true -- a container may have no other user
data_path = "@folder@/data"
plugin_paths = { "@folder@" }
certificates = "@folder@" -- looked into for more certificates; there are none
log = { { levels = { min = "info" }, to = "file", filename = "@folder@/output.log" } }

interfaces = { "127.0.0.1" }
c2s_ports = { @starttls_port@, @plain_port@ }
c2s_direct_tls_ports = { @tls_port@ }
s2s_ports = {}
component_interfaces = { "127.0.0.1" }
component_ports = { @component_port@ }
http_interfaces = { "127.0.0.1" }
https_interfaces = { "127.0.0.1" }
http_ports = { @http_port@ }
https_ports = { @https_port@ }
http_default_host = "localhost" -- clients send the address as their HTTP host

modules_enabled = { "saslauth", "tls", "websocket", "bosh", "disco", "ping", "roster", "smacks" }

smacks_hibernation_time = 300 -- longer than any scene
smacks_max_queue_size = 20000 -- more than any scene sends; beyond it messages are dropped
modules_disabled = { "s2s" }

c2s_require_encryption = false -- SCRAM is tried over ws:// as well

-- Direct TLS and https are set up for each port, STARTTLS for each domain. The certificate names
-- all domains but two, and everybody is asked for a certificate; who has none is let in.
local function tls(chain, key)
	return {
		certificate = chain,
		key = key,
		cafile = "@authority@",
		capath = false,
		protocol = "tlsv1_2+",
		verify = { "peer", "client_once" },
		verifyext = { lsec_ignore_purpose = false, lsec_continue = true },
	}
end
local listed = tls("@chain@", "@key@")
ssl = listed
c2s_direct_tls_ssl = listed
https_ssl = listed

-- SHA-256 of the certificate, for tls-server-end-point. Prosody 13's own "auto" is good for the
-- first connection only; 0.12 does not know the option.
tls_server_end_point_hash = "@end_point@"

Component "bridge.localhost" -- one of ours
component_secret = "pass & word"

VirtualHost "localhost"
authentication = "internal_hashed"

VirtualHost "sha256.localhost"
authentication = "internal_hashed"
password_hash = "SHA-256"

VirtualHost "sha384.localhost"
authentication = "scram_sha384"

VirtualHost "anonymous.localhost"
authentication = "anonymous"

VirtualHost "cert.localhost"
authentication = "ccert"
certificate_match = "xmppaddr"
c2s_require_encryption = true -- the offer of STARTTLS says <required/>

VirtualHost "clear.localhost" -- no offer of STARTTLS
authentication = "internal_hashed"
modules_disabled = { "s2s", "tls" }

VirtualHost "brief.localhost" -- a session without a connection is soon forgotten
authentication = "internal_hashed"
smacks_hibernation_time = 1

VirtualHost "unlisted.localhost" -- not in the certificate
authentication = "internal_hashed"

VirtualHost "expired.localhost" -- has a certificate of its own, of last year
authentication = "internal_hashed"
local expired = tls("@expired_chain@", "@expired_key@")
ssl = expired
c2s_direct_tls_ssl = expired -- the client's SNI chooses it
