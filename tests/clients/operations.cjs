// Operations of dcmjs-dimse, each on an association of its own, in their order.
//
// The task is one JSON object on standard input; standard output is one JSON object: which operation was a success.
'use strict';

const fs = require('node:fs');
const dimse = require('dcmjs-dimse');

const { requests } = dimse;
const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const COMMITMENT = '1.2.840.10008.1.20.1';
const MPPS = '1.2.840.10008.3.1.2.3.3';
dimse.log.setLevel('silent', false);

function commitment() {
  const images = task.images.map((uid) => ({ ReferencedSOPClassUID: task.sop_class, ReferencedSOPInstanceUID: uid }));
  const action = new requests.NActionRequest(COMMITMENT, '1.2.840.10008.1.20.1.1', 1);
  action.setDataset(new dimse.Dataset({ TransactionUID: task.transaction, ReferencedSOPSequence: images }));
  return action;
}

function step(request, status) {
  request.setDataset(new dimse.Dataset({ PerformedProcedureStepStatus: status }));
  return request;
}

const MAKE = {
  echo: () => [new requests.CEchoRequest()],
  store: () => [new requests.CStoreRequest(task.file)],
  find: () => [requests.CFindRequest.createStudyFindRequest({ StudyInstanceUID: task.study, PatientID: '' })],
  get: () => [requests.CGetRequest.createStudyGetRequest(task.study)],
  move: () => [requests.CMoveRequest.createStudyMoveRequest(task.title, task.study)],
  'move elsewhere': () => [requests.CMoveRequest.createStudyMoveRequest('ELSEWHERE', task.study)],
  worklist: () => [requests.CFindRequest.createWorklistFindRequest({ PatientID: '' })],
  commit: () => [commitment()],
  mpps: () => [
    step(new requests.NCreateRequest(MPPS, task.step), 'IN PROGRESS'),
    step(new requests.NSetRequest(MPPS, task.step), 'COMPLETED'),
  ],
};

function perform(operation) {
  return new Promise((resolve) => {
    const client = new dimse.Client();
    const statuses = [];
    const made = MAKE[operation]();
    for (const request of made) {
      request.on('response', (response) => statuses.push(response.getStatus()));
      client.addRequest(request);
    }
    client.on('cStoreRequest', (request, callback) => {
      const response = dimse.responses.CStoreResponse.fromRequest(request);
      response.setStatus(dimse.constants.Status.Success);
      callback(response);
    });
    client.on('nEventReportRequest', (request, callback) => {
      const response = dimse.responses.NEventReportResponse.fromRequest(request);
      response.setStatus(dimse.constants.Status.Success);
      callback(response);
    });
    const pending = (status) => status === dimse.constants.Status.Pending;
    const success = () => {
      const final = statuses.filter((status) => !pending(status));
      return final.length === made.length && final.every((status) => status === dimse.constants.Status.Success);
    };
    client.on('networkError', () => resolve(false));
    client.on('closed', () => resolve(success()));
    const options = { connectTimeout: 10000, associationTimeout: 10000, pduTimeout: 10000 };
    // An N-EVENT-REPORT comes after the response, on the same association.
    if (operation === 'commit' && task.reports) options.associationLingerTimeout = 300;
    options.userIdentity = task.user && {
      type: 2,
      positiveResponseRequested: true,
      primaryField: task.user,
      secondaryField: task.passcode,
    };
    client.send(task.host, task.port, task.title, task.called, options);
  });
}

(async () => {
  const saw = {};
  for (const operation of task.operations) saw[operation] = await perform(operation);
  fs.writeSync(1, JSON.stringify(saw) + '\n');
  process.exit(0);
})();
