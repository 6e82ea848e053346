// SPDX-License-Identifier: Apache-2.0
// fhirclient (npm, the SMART client for JavaScript): what it saw, as JSON on the standard output.
import smart from "fhirclient";

const [serverUrl, access_token] = process.argv.slice(2);
const state = { serverUrl, tokenResponse: { access_token, patient: "ada" } };
const client = smart({ headers: {}, session: {} }, {}).client(state);
const seen = {};
const ids = (resources) => resources.map((resource) => resource.id);

seen.version = await client.getFhirVersion();
seen.release = await client.getFhirRelease();
seen.read = (await client.request("Patient/ada")).birthDate;

// pages
seen.paged = [];
for await (const page of client.pages("Observation?patient=ada&_count=3&_sort=date")) {
  seen.paged.push((page.entry || []).map((entry) => entry.resource.id));
}
seen.one_by_one = [];
for await (const resource of client.resources("Observation?patient=ada&_count=3&_sort=date", { limit: 5 })) {
  seen.one_by_one.push(resource.id);
}
const newest = "Observation?patient=ada&_count=3&_sort=-date";
seen.flat = ids(await client.request(newest, { pageLimit: 0, flat: true }));
seen.two_pages = (await client.request(newest, { pageLimit: 2 })).map((page) => page.entry.length);
seen.on_page = [];
await client.request(newest, { pageLimit: 0, flat: true, onPage: (page) => { seen.on_page.push(page.length); } });

// references
const resolved = await client.request("Observation/pulse-0", { resolveReferences: "subject" });
seen.resolved = resolved.subject.resourceType;
const beside = await client.request(newest, { resolveReferences: ["subject"], graph: false, flat: true });
seen.beside = [Object.keys(beside.references), beside.data.length];
const mounted = await client.request("Observation/pulse-1");
await client.resolveReferences(mounted, ["subject"]);
seen.mounted = mounted.subject.id;
seen.gathered = Object.keys(await client.getReferences(await client.request("Observation/pulse-1"), ["subject"]));

// the patient in context
seen.patient = (await client.patient.read()).id;
seen.of_patient = (await client.patient.request("Observation?_sort=date")).entry.length;
seen.allergies = (await client.patient.request({ url: "AllergyIntolerance" })).entry?.length ?? 0;

// writing
const made = await client.create({ resourceType: "Patient", name: [{ family: "Smartclient" }] });
const updated = await client.update({ ...made, gender: "female" });
const patched = await client.patch(`Patient/${made.id}`, [{ op: "add", path: "/birthDate", value: "2001-02-03" }]);
seen.versions = [made, updated, patched].map((resource) => resource.meta.versionId);
seen.found = (await client.request("Patient?name=Smartclient&birthdate=2001-02-03&gender=female")).entry.length;
const whole = await client.request({ url: `Patient/${made.id}`, includeResponse: true });
seen.etag = whole.response.headers.get("etag");
const entry = [{ request: { method: "GET", url: `Patient/${made.id}` } }];
const batch = await client.request({
  url: "", method: "POST", headers: { "content-type": "application/fhir+json" },
  body: JSON.stringify({ resourceType: "Bundle", type: "batch", entry }),
});
seen.batch = batch.entry[0].resource.id === made.id;
await client.delete(`Patient/${made.id}`);
seen.gone = await client.request(`Patient/${made.id}`).then(() => 0, (error) => error.status || error.statusCode);
seen.everything = (await client.request("Patient/ada/$everything?_count=50")).entry.length;
console.log(JSON.stringify(seen));
