// One association of dcmjs-dimse: a C-ECHO, then a C-STORE of each file, with an identity that asks for a positive
// response. The task is one JSON object on standard input (nothing secret on the command line); what was seen is one
// JSON line on standard output. The exit status is 0 whenever that line was printed.
'use strict';

const fs = require('node:fs');
const dimse = require('dcmjs-dimse');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const saw = {
  accepted: false,
  server_response: null, // sub-item 59H: null is none, a string what it held
  rejected: null, // { result, source, reason }
  aborted: null, // what the A-ABORT said
  released: false,
  echo: null, // DIMSE status
  store: [], // DIMSE status of each file
  network_error: null,
};

// The client tells nobody of an A-ABORT, but its log does; nor does it close the connection, as PS3.8 9.2 (AA-3) says.
dimse.log.methodFactory = () => (message) => {
  const abort = /<- Association abort (.*)/.exec(String(message));
  if (abort) {
    saw.aborted = abort[1];
    process.exit(0);
  }
};
dimse.log.setLevel('info', false);

const client = new dimse.Client();
const echo = new dimse.requests.CEchoRequest();
echo.on('response', (response) => (saw.echo = response.getStatus()));
client.addRequest(echo);
for (const file of task.files) {
  const store = new dimse.requests.CStoreRequest(file);
  store.on('response', (response) => saw.store.push(response.getStatus()));
  client.addRequest(store);
}

client.on('associationAccepted', (association) => {
  saw.accepted = true;
  if (association.getNegotiateUserIdentityServerResponse()) {
    saw.server_response = association.getUserIdentityServerResponse();
  }
});
client.on('associationRejected', (rejection) => (saw.rejected = rejection));
client.on('associationReleased', () => (saw.released = true));
client.on('networkError', (error) => (saw.network_error = error.message));

// Written once, synchronously, when the connection has ended: whatever happened is known by then.
process.on('exit', () => fs.writeSync(1, JSON.stringify(saw) + '\n'));
client.on('closed', () => process.exit(0));

const options = { connectTimeout: 10000, associationTimeout: 10000, pduTimeout: 10000 };
if (task.identity) options.userIdentity = task.identity;
if (task.tls) {
  options.securityOptions = {
    ca: fs.readFileSync(task.tls.ca),
    cert: task.tls.certificate && fs.readFileSync(task.tls.certificate),
    key: task.tls.key && fs.readFileSync(task.tls.key),
    rejectUnauthorized: true,
  };
}
client.send(task.host, task.port, task.calling, task.called, options);
