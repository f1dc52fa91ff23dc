// An identity provider for the tests: oidc-provider as it comes, with one client, and a second port that rules it.
//
//   node provider.mjs [at+jwt|JWT]
//
// prints {"issuer": …, "control": …}. Tokens come from the token endpoint by client_credentials; the form field `claims`
// holds claims to add, as JSON. With JWT the access tokens look like those of Keycloak. The control port takes
//   POST /rotate?keep=yes|no  a new key signs; the old one stays in the set, or does not
//   POST /off, POST /on       connections are cut, or served
//   POST /slow                key sets are held back until /on
//   GET  /counts              {"jwks": …, "discovery": …}
//   POST /id-token            an ID token of the client, with the claims of the body

import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const [typ = 'at+jwt'] = process.argv.slice(2);
const scopes = ['openid', 'dicom.read', 'dicom.write', 'report.read', 'admin.token', 'user/ImagingStudy.rs'];
const counts = { jwks: 0, discovery: 0 };
let keys = [newKey()];
let mode = 'on';
let held = [];
let provider;

// Warnings about development settings are for people who deploy it.
console.info = console.warn = () => {};

function newKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'ES256' };
}

function client(client_id) {
  return {
    client_id,
    client_secret: `secret of ${client_id}`,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: 'ES256',
  };
}

function make(issuer) {
  const made = new Provider(issuer, {
    clients: [client('viewer-web'), client('stranger')],
    jwks: { keys },
    scopes,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'https://kura.example.org/',
        getResourceServerInfo: (ctx, resource) => ({
          scope: scopes.join(' '),
          audience: resource === 'https://kura.example.org/' ? 'kura' : resource,
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256', kid: keys[0].kid } },
        }),
      },
    },
    extraTokenClaims: (ctx) => JSON.parse(ctx.oidc.body.claims ?? '{}'),
    formats: {
      customizers: {
        jwt: (ctx, token, jwt) => {
          if (typ === 'JWT') {
            jwt.header = { typ };
            jwt.payload.typ = 'Bearer';
          }
        },
      },
    },
  });
  return made;
}

const server = createServer((request, response) => {
  const path = request.url.split('?')[0];
  if (mode === 'off') return request.socket.destroy();
  if (path === '/jwks') counts.jwks += 1;
  if (path.startsWith('/.well-known/')) counts.discovery += 1;
  const serve = () => provider.callback()(request, response);
  if (mode === 'slow' && path === '/jwks') return held.push(serve);
  return serve();
});

async function idToken(claims) {
  const found = await provider.Client.find('viewer-web');
  const token = new provider.IdToken({ sub: 'hanako', ...claims }, { client: found });
  return token.issue({ use: 'idtoken' });
}

async function body(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

const control = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://control');
  const text = await body(request);
  let answer = {};
  if (url.pathname === '/rotate') {
    keys = url.searchParams.get('keep') === 'yes' ? [newKey(), keys[0]] : [newKey()];
    provider = make(issuer);
  } else if (['/on', '/off', '/slow'].includes(url.pathname)) {
    mode = url.pathname.slice(1);
    const waiting = held;
    held = [];
    waiting.forEach((serve) => serve());
  } else if (url.pathname === '/counts') {
    answer = counts;
  } else if (url.pathname === '/id-token') {
    answer = { token: await idToken(JSON.parse(text || '{}')) };
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(answer));
});

const listen = (on) => new Promise((done) => {
  on.listen(0, '127.0.0.1', () => done(`http://127.0.0.1:${on.address().port}`));
});

const issuer = await listen(server);
provider = make(issuer);
console.log(JSON.stringify({ issuer, control: await listen(control) }));
