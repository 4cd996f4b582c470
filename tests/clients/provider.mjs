// An OpenID provider on https of 127.0.0.1, for clients that ask for tokens of their own (RFC 6749 4.4): one that sends
// its secret in the header, one (`-post`) that sends it in the form, one (`-key`) that signs its requests.
//
// The first line of standard input is one JSON object: `port`, `certificate` and `key` (PEM), `client_id`,
// `client_secret`, `client_jwks` (the public keys of the last), and `jwks`, the private keys it signs with. Each line behind it is other private keys: a rotation.
// Each line is answered with "ready" on standard output. It ends with its standard input.
//
// A token for a resource (RFC 8707) is a JWT for that audience; the query of the resource says what kind of token it
// is to be: `alg`, `lifetime` in seconds, `opaque`. Without a resource it is opaque.
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

console.info = console.error; // the provider's notices are no answers

// What was issued outlives a rotation.
const issued = new Map();
const storage = (model) => ({
  upsert: async (id, payload) => void issued.set(`${model}:${id}`, payload),
  find: async (id) => issued.get(`${model}:${id}`),
  destroy: async (id) => void issued.delete(`${model}:${id}`),
});

function asked(resource) {
  const { searchParams } = new URL(resource);
  const opaque = searchParams.has('opaque');
  return {
    scope: 'dicom admin',
    audience: resource.split('?')[0],
    accessTokenTTL: Number(searchParams.get('lifetime') ?? 3600),
    accessTokenFormat: opaque ? 'opaque' : 'jwt',
    jwt: opaque ? undefined : { sign: { alg: searchParams.get('alg') ?? 'RS256' } },
  };
}

function provider({ port, client_id, client_secret, client_jwks }, jwks) {
  const client = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
  const configuration = {
    adapter: storage,
    jwks,
    scopes: ['dicom', 'admin'],
    clients: [
      { ...client, client_id, client_secret },
      {
        ...client,
        client_id: `${client_id}-post`,
        client_secret,
        token_endpoint_auth_method: 'client_secret_post',
      },
      {
        ...client,
        client_id: `${client_id}-key`,
        jwks: client_jwks,
        token_endpoint_auth_method: 'private_key_jwt',
      },
    ],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: (_, resource) => asked(resource),
      },
    },
    extraTokenClaims: () => ({ realm_access: { roles: ['radiology', 'ct'] } }),
  };
  return new Provider(`https://127.0.0.1:${port}`, configuration).callback();
}

let settings;
let answer;
let server;
for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  settings ??= told;
  answer = provider(settings, told.jwks);
  if (!server) {
    const { certificate, key, port } = settings;
    server = createServer({ cert: certificate, key }, (request, response) => answer(request, response));
    await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  }
  console.log('ready');
}
process.exit(0);
