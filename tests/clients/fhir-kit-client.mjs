// SPDX-License-Identifier: Apache-2.0
// fhir-kit-client (npm): what it saw, as JSON on the standard output.
import { Client } from "fhir-kit-client";

const [baseUrl, bearerToken] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken });
const seen = {};
const ids = (bundle) => (bundle.entry || []).map((entry) => entry.resource.id);

seen.version = (await client.capabilityStatement()).fhirVersion;
const smart = await client.smartAuthMetadata();
seen.smart = [smart.authorizeUrl.pathname, smart.tokenUrl.pathname];
seen.read = (await client.read({ resourceType: "Patient", id: "ada" })).birthDate;

// searching and pages
seen.paged = [];
const searchParams = { patient: "ada", _count: 3, _sort: "date" };
let page = await client.search({ resourceType: "Observation", searchParams });
const first = page;
let last;
for (; page; page = await client.nextPage({ bundle: page })) {
  seen.paged.push(ids(page));
  last = page;
}
seen.back = [];
for (page = await client.prevPage({ bundle: last }); page; page = await client.prevPage({ bundle: page })) {
  seen.back.push(ids(page));
}
const compartment = { resourceType: "Patient", id: "ada" };
const asked = { resourceType: "Observation", compartment, searchParams: { _count: 50 } };
const postSearch = { options: { postSearch: true } };
seen.compartment = [await client.search(asked), await client.compartmentSearch({ ...asked, ...postSearch })]
  .map((bundle) => bundle.entry.length);
const several = { searchParams: { _type: "Patient,Observation", _id: "ada,pulse-1" } };
seen.system = [await client.search(several), await client.systemSearch({ ...several, ...postSearch })]
  .map((bundle) => ids(bundle).sort());
const between = { resourceType: "Observation", searchParams: { patient: "ada", date: ["ge2026-03-02", "lt2026-03-04"] } };
seen.between = [await client.resourceSearch(between), await client.resourceSearch({ ...between, ...postSearch })]
  .map((bundle) => ids(bundle).sort());

// references
const contained = { resourceType: "Observation", contained: [{ resourceType: "Patient", id: "inner" }] };
seen.resolved = (await Promise.all([
  client.resolve({ reference: "Patient/ada" }),
  client.resolve({ reference: `${baseUrl}/Patient/ada` }),
  client.resolve({ reference: "Patient/ada", context: first }),
  client.resolve({ reference: "Observation/pulse-0", context: first }),
  client.resolve({ reference: "#inner", context: contained }),
])).map((resource) => resource.id);

// writing
const body = { resourceType: "Patient", name: [{ family: "Kit" }] };
const made = await client.create({ resourceType: "Patient", body });
const ifNoneExist = { headers: { "If-None-Exist": "name=Kit" } };
seen.same = (await client.create({ resourceType: "Patient", body, options: ifNoneExist })).id === made.id;
const updated = await client.update({ resourceType: "Patient", id: made.id, body: { ...made, gender: "female" } });
const jsonPatch = [{ op: "add", path: "/birthDate", value: "2001-02-03" }];
const patched = await client.patch({ resourceType: "Patient", id: made.id, jsonPatch });
const named = { resourceType: "Patient", searchParams: { name: "Kit" } };
const replaced = await client.update({ ...named, body: { ...body, active: true } });
seen.versions = [made, updated, patched, replaced].map((resource) => resource.meta.versionId);
seen.etag = Client.httpFor(replaced).response.headers.get("etag");
const ifMatch = { headers: { "If-Match": 'W/"1"' } };
const late = { resourceType: "Patient", id: made.id, body: { ...made, gender: "male" }, options: ifMatch };
seen.late = await client.update(late).then(() => 0, (error) => error.response.status);
seen.vread = (await client.vread({ resourceType: "Patient", id: made.id, version: "2" })).gender;
seen.history = [
  await client.history({ resourceType: "Patient", id: made.id }),
  await client.history({ resourceType: "Patient" }),
  await client.history(),
].map((bundle) => bundle.entry.filter((entry) => entry.fullUrl.endsWith(made.id)).length);
seen.raw = (await client.request(`Patient/${made.id}`)).id === made.id;

// operations and Bundles
const ada = { resourceType: "Patient", id: "ada" };
seen.operation = [
  await client.operation({ name: "everything", ...ada, method: "GET" }),
  await client.operation({ name: "$everything", ...ada }),
].map((bundle) => bundle.entry.length);
const lastn = { patient: "Patient/ada", code: "http://loinc.org|8867-4", max: 2 };
seen.lastn = ids(await client.operation({ name: "lastn", resourceType: "Observation", method: "GET", input: lastn }));
const parameter = [{ name: "resource", resource: { resourceType: "Patient", gender: "nobody" } }];
const input = { resourceType: "Parameters", parameter };
const judged = await client.operation({ name: "validate", resourceType: "Patient", input });
seen.judged = judged.issue[0].severity;
const add = { resource: body, request: { method: "POST", url: "Patient" } };
const done = await client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry: [add] } });
seen.transaction = done.entry[0].response.status;
const wrong = { resource: { resourceType: "Patient", gender: "nobody" }, request: { method: "POST", url: "Patient" } };
const get = { request: { method: "GET", url: "Patient/ada" } };
const apart = await client.batch({ body: { resourceType: "Bundle", type: "batch", entry: [get, wrong] } });
seen.batch = apart.entry.map((entry) => entry.response.status.slice(0, 3));
for (const entry of (await client.resourceSearch(named)).entry) {
  await client.delete({ resourceType: "Patient", id: entry.resource.id });
}
seen.gone = await client.read({ resourceType: "Patient", id: made.id }).then(() => 0, (error) => error.response.status);
console.log(JSON.stringify(seen));
