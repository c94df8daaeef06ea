import t from 'tap'
import { yamlDescriptor } from '../support/descriptor.js'
import { accepting, as, asJson, checkRows, form, json, problem, startScene, text, type Row } from './rows.js'

/** The job document (section 7) of the scene, as users see it. */
const job =
  '{"_id":{"$oid":"<job>"},"api_version":"v0.1","app_name":"demo","app_ns":"default",' +
  '"service_name":"service1","service_ns":"test",' +
  '"image":"docker.io/library/nginx:alpine","image_runtime":"docker","port":80,"requirements":{"cpu":1,"memory":100},' +
  '"job_name":"demo.default.service1.test","status":"DEPLOYED","replicas":1,"service_ip_list":[{"IpType":"RR","Address":"172.30.0.1"}],' +
  '"instance_list":[{"instance_number":0,"instance_ip":"172.30.0.2","cluster_id":"<cluster>","namespace_ip":"10.18.0.2","host_ip":"192.168.178.40","host_port":50103…}]…}'

/** The cluster document (section 7) of the scene, as users see it. */
const cluster =
  '{"_id":{"$oid":"<cluster>"},"cluster_name":"hpi","ip":"127.0.0.1","port":"10100","clusterinfo":{},' +
  '"cluster_location":"Potsdam","nodes":0,' +
  '"aggregated_cpu_percent":10,"total_cpu_cores":16,"aggregated_memory_percent":20,"memory_in_mb":32000,"active_nodes":3,"technology":["docker"],"more":null,' +
  '"last_modified":{"$date":"<time>"},"last_modified_timestamp":<unix>…}'

const deployed = (name: string) => json(`{"job_id":"<id>","job_name":"demo.default.${name}.test","status":"REQUESTED"}`)
const again = json('{"job_id":"<job>","job_name":"demo.default.service1.test","status":"DEPLOYED"}')
const service2 = { app_name: 'demo', app_ns: 'default', service_name: 'service2', service_ns: 'test', image: 'nginx', port: '8080:80', requirements: { cpu: 0.5, memory: 10 } }

const missing = 'descriptor_missing: No deployment descriptor was sent\n  hint: Send it as a multipart part named file (curl -F file=@deploy.yaml), or as the body with content-type application/yaml or application/json\n'
const unknown = (ref: string) => text(`job_not_found: There is no job ${ref}\n  hint: GET /api/v1/jobs lists them\n`, 404)
const malformed = (ref: string) => text(`job_ref_malformed: "${ref}" is neither a job id nor a job name\n  hint: An id has 24 hexadecimal digits, a name is app_name.app_ns.service_name.service_ns\n`, 400)

const queries: Row[] = [
  ['GET /', text('EdgeIO System Manager: the API is described at /docs\n')],
  ['GET /status', text('ok')],
  ['GET /api/job/status/<job>', text('DEPLOYED\n')],
  ['GET /api/job/status/demo.default.service1.test', text('DEPLOYED\n')],
  ['GET /api/job/status/demo_default_service1_test', text('DEPLOYED\n')],
  ['GET /api/job/status/<job>', json('{"job_id":"<job>","job_name":"demo.default.service1.test","status":"DEPLOYED","status_reason":null}'), accepting('application/json')],
  ['GET /api/job/status/ffffffffffffffffffffffff', unknown('ffffffffffffffffffffffff')],
  ['GET /api/job/status/no.such.job.here', unknown('no.such.job.here')],
  ['GET /api/job/status/42', malformed('42')],
  ['GET /api/job/status/42', problem(400, '{"type":"/docs/errors#job_ref_malformed","title":"This is neither a job id nor a job name","status":400,"code":"job_ref_malformed","detail":"\\"42\\" is neither a job id nor a job name","instance":"<request>","hint":"An id has 24 hexadecimal digits, a name is app_name.app_ns.service_name.service_ns"}'), accepting('application/json')],
  ['GET /api/jobs', json(`[${job}]`)],
  ['GET /api/clusters', json(`[${cluster}]`)],
  ['GET /api/clusters_all', json(`[${cluster}]`)],
  ['GET /api/clusters/count', json('1')],
  ['GET /api/jobs', json(`[${job}]`), asJson({ a: 'body that nobody asked for' })]
]

const deploys: Row[] = [
  ['POST /api/deploy', again, form(yamlDescriptor())],
  ['POST /api/deploy', again, as('application/yaml', yamlDescriptor())],
  ['POST /api/deploy', again, as('text/yaml', yamlDescriptor())],
  ['POST /api/deploy', again, as('application/x-yaml', yamlDescriptor())],
  ['POST /api/deploy', deployed('service2'), asJson(service2)],
  ['POST /api/deploy', deployed('service3'), form(JSON.stringify({ ...service2, service_name: 'service3' }))],
  ['POST /api/deploy', text(missing, 400)],
  ['POST /api/deploy', text(missing, 400), form(yamlDescriptor(), 'upload')],
  ['POST /api/deploy', text('descriptor_missing: The deployment descriptor is empty\n', 400), form('')],
  ['POST /api/deploy', text('descriptor_unreadable: Line 1, column 1: expected a mapping of fields, like "app_name: demo", got a list\n  file (line 1, column 1): expected a mapping of fields, like "app_name: demo", got a list\n', 400), form('[]')],
  ['POST /api/deploy', text('descriptor_invalid: Line 9, column 8: requirements.cpu: expected a number of at least 0, got the number -1\n  requirements.cpu (line 9, column 8): expected a number of at least 0, got the number -1\n', 400), form(yamlDescriptor().replace('port: 80\n', '').replace('cpu: 1', 'cpu: -1'))],
  ['POST /api/deploy', text('address_taken: 172.30.0.1 belongs to another job\n  hint: Leave out RR_ip to get a free address\n', 409), as('application/yaml', yamlDescriptor('service4', 'RR_ip: 172.30.0.1\n'))]
]

const undeploys: Row[] = [
  ['GET /api/delete/<job>', text('ok\n')],
  ['GET /api/delete/<job>', text('ok\n')],
  ['GET /api/delete/demo.default.service2.test', text('ok\n')],
  ['DELETE /api/delete/demo_default_service3_test', text('ok\n')],
  ['DELETE /api/delete/demo_default_service3_test', text('ok\n'), as('application/json', '')],
  ['GET /api/delete/ffffffffffffffffffffffff', unknown('ffffffffffffffffffffffff')],
  ['DELETE /api/delete/no_such_job_here', unknown('no_such_job_here')],
  ['GET /api/delete/42', malformed('42')]
]

const UNKNOWN = 'f'.repeat(24)
const noCluster = (place: string) => text(`cluster_not_found: No cluster has the location, name or id ${place}\n  hint: GET /api/v1/clusters lists them\n`, 404)
const required = (field: string) => text(`bad_request: The body is not valid\n  ${field}: expected …, but it is missing\n`, 400)
const move = (from: string, to: string, job = '<job>') => asJson({ job_id: job, from_location: from, to_location: to })
const nodeMove = (cluster: string) => asJson({ job_id: '<job>', cluster, from_node: 'a', to_node: 'b' })
const replicas = (replicas: number, job = '<job>') => asJson({ job_id: job, replicas })

/** What is where it is to go already stays: the scene remains as it is. */
const moves: Row[] = [
  ...['POST', 'GET'].flatMap((method): Row[] => [
    [`${method} /api/clusters/move`, text('ok\n'), move('Potsdam', 'hpi')],
    [`${method} /api/clusters/move`, noCluster('mars'), move('Potsdam', 'mars')],
    [`${method} /api/clusters/move`, noCluster('mars'), move('mars', 'Potsdam')],
    [`${method} /api/clusters/move`, unknown(UNKNOWN), move('Potsdam', 'hpi', UNKNOWN)],
    [`${method} /api/clusters/move`, malformed('42'), move('Potsdam', 'hpi', '42')],
    [`${method} /api/clusters/move`, required('to_location'), asJson({ job_id: '<job>', from_location: 'hpi' })],
    [`${method} /api/nodes/move`, text('Ok\n'), nodeMove('Potsdam')],
    [`${method} /api/nodes/move`, noCluster('mars'), nodeMove('mars')]
  ]),
  ['POST /api/clusters/move', text('ok\n'), as('application/x-www-form-urlencoded', '{"job_id":"<job>","from_location":"Potsdam","to_location":"hpi"}')],
  ['GET /api/clusters/move?job_id=<job>&from_location=hpi&to_location=Potsdam', text('ok\n')]
]

const replications: Row[] = [
  ...['replicate', 'replicate_up'].flatMap(path => ['POST', 'GET'].flatMap((method): Row[] => [
    [`${method} /api/${path}`, text('ok'), replicas(2)],
    [`${method} /api/${path}`, text('ok'), replicas(3, 'demo_default_service1_test')],
    [`${method} /api/${path}`, text('ok'), asJson({ job_id: '<job>', replicas: '2' })],
    [`${method} /api/${path}`, unknown(UNKNOWN), replicas(2, UNKNOWN)],
    [`${method} /api/${path}`, malformed('42'), replicas(2, '42')],
    [`${method} /api/${path}`, required('replicas'), asJson({ job_id: '<job>' })]
  ])),
  ...['POST', 'GET'].flatMap((method): Row[] => [
    [`${method} /api/replicate_down/<job>/2`, text('ok')],
    [`${method} /api/replicate_down/demo_default_service1_test/1`, text('ok')],
    [`${method} /api/replicate_down/${UNKNOWN}/1`, unknown(UNKNOWN)],
    [`${method} /api/replicate_down/42/1`, malformed('42')]
  ])
]

const scheduler: Row[] = [
  ['GET /api/test/scheduler', text('the embedded scheduler answers\n')],
  ['GET /api/test/scheduler', json('{"answers":true,"message":"the embedded scheduler answers"}'), accepting('application/json')],
  // An answer about a job that has its place already changes nothing.
  ['POST /api/result/deploy', text('ok'), asJson({ job_id: '<job>', cluster_id: '<cluster>' })],
  ['POST /api/result/deploy', text('ok'), asJson(JSON.stringify({ job_id: '<job>', cluster: { _id: { $oid: '<cluster>' } }, replicas: 1 }))],
  ['POST /api/result/replicate', text('ok'), asJson({ job_id: '<job>', cluster: { _id: { $oid: '<cluster>' } }, replicas: 1 })],
  ['POST /api/result/deploy', unknown(UNKNOWN), asJson({ job_id: UNKNOWN, cluster_id: '<cluster>' })]
]

t.test('what users send, and what they get, byte for byte (section 1)', async t => {
  const scene = await startScene(t)
  await t.test('queries', t => checkRows(t, scene, queries))
  await t.test('deploys', t => checkRows(t, scene, deploys))
  await t.test('moves', t => checkRows(t, scene, moves))
  await t.test('replications', t => checkRows(t, scene, replications))
  await t.test('the scheduler (section 4)', t => checkRows(t, scene, scheduler))
  await t.test('undeploys', t => checkRows(t, scene, undeploys))
})
