// A SAML identity provider in which everybody may sign in by typing a name. Its
// settings come as JSON in the environment.
const express = require('express');
const samlp = require('samlp');
const SessionParticipants = require('samlp/lib/sessionParticipants');

const settings = JSON.parse(process.env.SAML_PROVIDER);
const app = express();
app.use(express.urlencoded({ extended: false, limit: '1mb' }));

// Who is signed in here, and where: one browser is enough for a test.
let name = '';
let participants = [];
const states = {};
let handles = 0;
const store = {
  save: (req, state, cb) => { const h = `h${handles += 1}`; states[h] = state; cb(null, h); },
  load: (req, h, o, cb) => (cb || o)(null, states[h]),
  update: (req, h, state, cb) => { states[h] = state; cb(null); },
};

const options = {
  issuer: settings.issuer, cert: settings.cert, key: settings.key, sessionIndex: 'there-1',
  getPostURL: (audience, dom, req, cb) => cb(null, settings.callback),
  getUserFromRequest: (req) => ({
    id: name, displayName: `${name} of the county`, emails: [{ value: `${name}@county.test` }], name: {}, groups: ['clerks'],
  }),
  recipient: settings.callback, destination: settings.callback,
  authnContextClassRef: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
};

function answer(req, res, next) {
  participants = [{
    serviceProviderId: settings.callback, nameId: name, sessionIndex: 'there-1', serviceProviderLogoutURL: settings.callback,
    nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified', cert: settings.partyCert,
    binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect',
  }];
  return samlp.auth({ ...options })(req, res, next);
}

app.get('/sso', (req, res, next) => {
  if (name) return answer(req, res, next);
  const field = (n) => `<input type="hidden" name="${n}" value="${encodeURIComponent(req.query[n] || '')}">`;
  res.send(`<form method="post" action="/sso">${field('SAMLRequest')}${field('RelayState')}<input name="login"><button>Sign in</button></form>`);
});
app.post('/sso', (req, res, next) => {
  name = req.body.login;
  req.query = { SAMLRequest: decodeURIComponent(req.body.SAMLRequest), RelayState: decodeURIComponent(req.body.RelayState) };
  answer(req, res, next);
});

app.post('/roll', express.json(), (req, res) => {
  options.cert = req.body.cert;
  options.key = req.body.key;
  res.end('rolled');
});

const logout = (req, res, next) => {
  req.session = req.session || {};
  req.user = { sessionIndex: 'there-1' };
  samlp.logout({
    deflate: true, issuer: settings.issuer, cert: settings.cert, key: settings.key,
    protocolBinding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect',
    sessionParticipants: new SessionParticipants(participants), store,
    clearIdPSession: (cb) => { name = ''; participants = []; cb(); },
  })(req, res, next);
};
app.get('/slo', logout, (req, res) => res.send('<p>signed out here</p>'));
app.post('/slo', logout, (req, res) => res.send('<p>signed out here</p>'));
app.use((error, req, res, next) => { console.error(error); res.status(500).send(String(error)); });

const { port } = new URL(settings.url);
app.listen(Number(port), '127.0.0.1');
