// An assertion as npm's saml issues it, on standard output.
//
// Standard input is one JSON object, the options of its `create` (the key and the certificates in PEM). With
// `encryptionCert` it is a saml:EncryptedAssertion.
'use strict';
const { readFileSync } = require('node:fs');
const { Saml20 } = require('saml');

const options = JSON.parse(readFileSync(0, 'utf8'));
Saml20.create(options, (error, assertion) => {
  if (error) throw error;
  process.stdout.write(assertion);
});
