import t from 'tap'
import { complaints, least, readDescriptor, refusal } from './sample.js'

/** The complaint about one more field, and the hint that comes with it. */
function about (field: string): { complaint: string | undefined, hint: string | undefined } {
  const text = `${least}${field}\n`
  return { complaint: complaints(text)[0], hint: refusal(text).hint }
}

t.test('every violation is listed in the order of the file, with the place of its value', async (t) => {
  const text = `app_name: demo
app_ns: my.ns
service_name: service1
service_ns: test
image:
image_runtime: []
port: 70000
cluster_location: 5
requirements:
  cpu: lots
  memory: -1
replicas: -1
RR_ip: 10.0.0.1
`
  t.equal(refusal(text).code, 'descriptor_invalid')
  t.strictSame(complaints(text), [
    '2:9 app_ns: expected 1 to 63 letters, digits, "-" or "_", got the string "my.ns"',
    '5:1 image: expected a string of 1 to 2048 characters, got nothing',
    '6:16 image_runtime: expected a string of 1 to 63 characters, got a list',
    '7:7 port: expected each port to be a whole number from 1 to 65535, got the number 70000',
    '8:19 cluster_location: expected a string of 1 to 255 characters, got the number 5',
    '10:8 requirements.cpu: expected a number of at least 0, got the string "lots"',
    '11:11 requirements.memory: expected a number of at least 0, got the number -1',
    '12:11 replicas: expected a whole number of at least 0, got the number -1',
    '13:8 RR_ip: expected a service (round robin) address, from 172.30.0.1 to 172.30.255.254, got the string "10.0.0.1"'
  ])
  t.equal(refusal(text).message, 'Line 2, column 9: app_ns: expected 1 to 63 letters, digits, "-" or "_", got the string "my.ns" (and 8 more)')
})

t.test('missing fields are reported at the mapping that lacks them', async (t) => {
  t.strictSame(complaints('# a comment\nimage: nginx\napp_name: demo\nservice_name: s\n'), [
    '2:1 app_ns: expected 1 to 63 letters, digits, "-" or "_", but the field is missing',
    '2:1 service_ns: expected 1 to 63 letters, digits, "-" or "_", but the field is missing'
  ])
})

t.test('places are right in JSON too', async (t) => {
  t.strictSame(complaints('{"app_name": "demo", "app_ns": "a b",\n "service_name": "s", "service_ns": "t", "image": "i",\n "requirements": {"cpu": "1"}}'), [
    '1:32 app_ns: expected 1 to 63 letters, digits, "-" or "_", got the string "a b"',
    '3:26 requirements.cpu: expected a number of at least 0, got the string "1"'
  ])
})

t.test('a value behind an alias is reported where it stands', async (t) => {
  t.strictSame(complaints(`defaults: &d\n  cpu: many\nbad: &b a.b\n${least.replace('demo', '*b')}requirements: *d\n`), [
    '2:8 requirements.cpu: expected a number of at least 0, got the string "many"',
    '4:11 app_name: expected 1 to 63 letters, digits, "-" or "_", got the string "a.b"'
  ])
})

t.test('a wrong port is one violation and not one per form that a port may have', async (t) => {
  t.equal(complaints(`${least}port: {a: 1}\n`).length, 1)
  t.equal(about('port: "8080:99999"').complaint, '6:7 port: expected each port to be a whole number from 1 to 65535, got the string "8080:99999"')
  t.equal(about('port: 0').complaint, '6:7 port: expected each port to be a whole number from 1 to 65535, got the number 0')
  t.equal(about('port: 1.5').complaint, '6:7 port: expected each port to be a whole number from 1 to 65535, got the number 1.5')
  t.equal(about('port: "0:80"').complaint, '6:7 port: expected each port to be a whole number from 1 to 65535, got the string "0:80"')
  t.equal(
    about('port: true').complaint,
    '6:7 port: expected 80, "8080:80", several as "6080:80/tcp;7000:70/udp", or empty, got true'
  )
  t.match(about('port: [80, 443]').hint, 'Write several ports in one text')
  for (const good of ['80/udp', '8080:80/tcp', '6080:80/tcp;7000:70/udp', '80;81']) {
    t.match(readDescriptor(`${least}port: "${good}"\n`), { port: good })
  }
  for (const bad of ['80/sctp', '80;', ';80', '1:2:3', '80/tcp/udp', '80 ;81']) {
    t.equal(complaints(`${least}port: "${bad}"\n`).length, 1, bad)
  }
  t.match(
    about('port: "6080:80/tcp;7000:99999/udp"').complaint,
    'expected each port to be a whole number from 1 to 65535'
  )
  t.match(about('port: http').hint, 'Write the port as 80, or as "8080:80"')
})

t.test('numbers and booleans where text is expected come with the advice to quote them as they were written', async (t) => {
  t.equal(refusal(least.replace('demo', '007')).hint, 'app_name: Put quotes around it to make it a string: "007".')
  t.equal(about('api_version: 0.10').hint, 'api_version: Put quotes around it to make it a string: "0.10".')
  t.equal(about('node: true').hint, 'node: Put quotes around it to make it a string: "true".')
})

t.test('a dot or a space in a name is explained', async (t) => {
  t.match(refusal(least.replace('demo', 'my.app')).hint, 'A dot would break the job name')
  t.match(refusal(least.replace('demo', 'my app')).hint, 'Use "-" instead of spaces')
})

t.test('quantities with units or quotes are converted in the hint', async (t) => {
  const cases: Array<[string, string]> = [['cpu: 500m', '0.5'], ['cpu: "2"', '2'], ['memory: 100Mi', '100'], ['memory: 1.5Gi', '1536'], ['memory: 512Ki', '0.5'], ['memory: 200 MB', '200']]
  for (const [field, advised] of cases) {
    t.match(about(`requirements: {${field}}`).hint, `without quotes or a unit: ${advised}.`, field)
  }
})

t.test('replicas are whole and from 0 to 1000', async (t) => {
  t.equal(about('replicas: -1').complaint, '6:11 replicas: expected a whole number of at least 0, got the number -1')
  t.equal(about('replicas: -1').hint, 'replicas: Write 0 to run no instance for now; delete the job to remove the service.')
  t.equal(about('replicas: 1001').complaint, '6:11 replicas: expected a whole number of at most 1000, got the number 1001')
  t.match(about('replicas: 2.5').complaint, 'a whole number')
  t.equal(about('replicas: "3"').hint, 'replicas: Write it without quotes: 3.')
})

t.test('a mistyped required field gets a suggestion, an unknown field alone does not', async (t) => {
  t.equal(refusal(least.replace('app_name', 'appName')).hint, 'app_name: There is a field "appName": did you mean app_name?')
  t.equal(refusal(least.replace('service_ns', 'service-ns')).hint, 'service_ns: There is a field "service-ns": did you mean service_ns?')
  t.equal(refusal(least.replace('image', 'picture')).hint, undefined)
})

t.test('numbers that JSON cannot represent are refused in every field, known or not, once each', async (t) => {
  t.strictSame(complaints(`${least}requirements: {cpu: .nan}\nx: [1, {y z: -.inf}]\nz: 1e999\n`), [
    '6:21 requirements.cpu: expected a number that JSON can hold, got the non-finite number NaN',
    '7:14 x[1]["y z"]: expected a number that JSON can hold, got the non-finite number -Infinity',
    '8:4 z: expected a number that JSON can hold, got the non-finite number Infinity'
  ])
})

t.test('whole numbers that would lose digits are refused, with the advice to quote them', async (t) => {
  t.strictSame(complaints(least + 'environment: {ACCOUNT: 12345678901234567890}\n'), [
    '6:24 environment.ACCOUNT: expected a number that can be kept digit for digit, got one that would become 12345678901234567000'
  ])
  t.match(refusal(least + 'x: -9007199254740993\n').hint, 'Put quotes around it')
  t.match(readDescriptor(least + 'a: 9007199254740992\nb: 1e300\nc: 12345678901234567890.5\nd: 12345678901234567000\n'), { a: 2 ** 53, b: 1e300, d: 12345678901234567000 })
})

t.test('a requested service address must be one that can be leased', async (t) => {
  for (const address of ['172.30.0.0', '172.30.255.255', '172.30.01.1', '172.30.1.256', '172.31.0.1', '172.30.1']) {
    t.match(complaints(least + `RR_ip: ${address}\n`), [/^6:8 RR_ip: expected .*from 172\.30\.0\.1 to 172\.30\.255\.254, got/], address)
  }
  for (const address of ['172.30.0.1', '172.30.255.254', '172.30.0.255', '172.30.255.0']) t.match(readDescriptor(least + `RR_ip: ${address}\n`), { RR_ip: address })
})

t.test('NUL and halves of surrogate pairs in text are refused', async (t) => {
  t.strictSame(complaints(`${least}x: "a\\0b"\ny: ["\\ud800"]\n`), [
    '6:4 x: expected text without NUL and without half of a surrogate pair',
    '7:5 y[0]: expected text without NUL and without half of a surrogate pair'
  ])
})

t.test('at most 50 violations and 5 hints are listed, and the rest is counted', async (t) => {
  const error = refusal(`${least}x: [${'.nan,'.repeat(1000)}]\n`)
  t.equal(error.violations?.length, 50)
  t.match(error.message, '(and 999 more)')
  const hinted = refusal('app_name: 1\napp_ns: 1\nservice_name: 1\nservice_ns: 1\nimage: 1\nimage_runtime: 1\nnode: 1\ncluster_location: 1\n')
  t.equal(hinted.violations?.length, 8)
  t.equal(hinted.hint?.match(/Put quotes/g)?.length, 5)
})

t.test('long values and keys are shortened in messages', async (t) => {
  const error = refusal(`${least}port: "${'x'.repeat(100_000)}"\n"${'k'.repeat(900)}": .nan\n`)
  t.ok(JSON.stringify(error.violations).length < 1000)
  t.ok(error.message.length < 300)
})
