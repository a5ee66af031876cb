// A relying party as its developer would write it, on openid-client: one account at a time. Only what the library leaves to the app is
// done here.
//
//     node app.cjs --issuer URL --port PORT        CLIENT_ID and CLIENT_SECRET in the environment

'use strict';

const http = require('node:http');
const { parseArgs } = require('node:util');
const { Issuer, generators } = require('openid-client');

const { values: options } = parseArgs({ options: { issuer: { type: 'string' }, port: { type: 'string' } } });
const home = `http://127.0.0.1:${options.port}`;

let client;
let issuer;
let asked = {};
let tokens;

const pages = {
  '/login'(request, response) {
    const verifier = generators.codeVerifier();
    asked = { state: generators.state(), nonce: generators.nonce(), code_verifier: verifier };
    const { state, nonce } = asked;
    const code_challenge = generators.codeChallenge(verifier);
    const url = client.authorizationUrl({ scope: 'openid profile email', state, nonce, code_challenge, code_challenge_method: 'S256' });
    go(response, url);
  },
  async '/callback'(request, response) {
    // Checks state and iss, exchanges the code, and verifies the ID token: signature, nonce, at_hash and the rest.
    tokens = await client.callback(`${home}/callback`, client.callbackParams(request), asked);
    json(response, tokens.claims());
  },
  async '/refresh'(request, response) {
    const renewed = await client.refresh(tokens);
    const { sub, auth_time } = renewed.claims();
    json(response, { sub, auth_time, rotated: renewed.refresh_token !== tokens.refresh_token });
    tokens = renewed;
  },
  async '/userinfo'(request, response) {
    // Refuses an answer about another person than the ID token's.
    json(response, await client.userinfo(tokens));
  },
  '/logout'(request, response) {
    asked = { state: generators.state() };
    go(response, client.endSessionUrl({ id_token_hint: tokens, state: asked.state }));
  },
  '/signed-out'(request, response) {
    json(response, { signed_out: client.callbackParams(request).state === asked.state });
  },
};

function go(response, url) {
  response.writeHead(302, { location: url }).end();
}

function json(response, value, status = 200) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

async function main() {
  issuer = await Issuer.discover(options.issuer);
  client = new issuer.Client({
    client_id: process.env.CLIENT_ID,
    client_secret: process.env.CLIENT_SECRET,
    redirect_uris: [`${home}/callback`],
    post_logout_redirect_uris: [`${home}/signed-out`],
    response_types: ['code'],
  });
  const server = http.createServer(async (request, response) => {
    try {
      const page = pages[new URL(request.url, home).pathname];
      if (page) await page(request, response);
      else json(response, { error: 'not found' }, 404);
    } catch (error) {
      json(response, { error: error.error ?? error.name, message: error.message }, error.response?.statusCode ?? 500);
    }
  });
  server.listen(Number(options.port), '127.0.0.1', () => console.log(JSON.stringify({ listening: options.port })));
}

main();
