import type { Options, Request } from 'autocannon'
import type { BareRoute } from './baseline.js'
import type { BenchCluster } from './cluster.js'

/** A frequent operation of users or clusters, for autocannon, and the bare route that it is compared with. */
export interface Operation {
  name: string
  path: string
  request: Pick<Options, 'method' | 'headers' | 'body' | 'requests'>
  bare: BareRoute
}

const BOUNDARY = 'bench-boundary'

/** The body that `curl -F file=@deploy.yaml` would send, for a service of this name. */
export function deployForm (serviceName: string, clusterLocation?: string): string {
  return [
    `--${BOUNDARY}`,
    'Content-Disposition: form-data; name="file"; filename="deploy.yaml"',
    'Content-Type: application/octet-stream',
    '',
    [
      'api_version: v0.1',
      'app_name: bench',
      'app_ns: default',
      `service_name: ${serviceName}`,
      'service_ns: test',
      'image: docker.io/library/nginx:alpine',
      'image_runtime: docker',
      'port: 80',
      ...(clusterLocation === undefined ? [] : [`cluster_location: ${clusterLocation}`]),
      'requirements:',
      '  cpu: 0',
      '  memory: 100'
    ].join('\n'),
    `--${BOUNDARY}--`,
    ''
  ].join('\r\n')
}

export const deployRequest = {
  method: 'POST' as const,
  headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }
}

const text = 'text/plain; charset=utf-8'
const json = 'application/json; charset=utf-8'

const heartbeat = (jobIds: string[], status: string) =>
  JSON.stringify({
    cpu_percent: 12,
    memory_percent: 40,
    cpu_cores: 1e6,
    cumulative_memory_in_mb: 1e8,
    number_of_nodes: 1000,
    technology: ['docker'],
    more: null,
    jobs: jobIds.map(system_job_id => ({ system_job_id, status }))
  })
const jsonBody = { 'content-type': 'application/json' }

/** Operations that write no job, with one cluster of 100 running jobs. */
export async function quietOperations (url: string, { id, jobIds }: BenchCluster): Promise<Operation[]> {
  const path = `/api/information/${id}`
  const beat = (reported: string[]): Operation => ({
    name: `heartbeat, ${reported.length} job${reported.length === 1 ? '' : 's'}, no change`,
    path,
    request: { method: 'POST', headers: jsonBody, body: heartbeat(reported, 'RUNNING') },
    bare: { method: 'POST', url: '/api/information/:id', contentType: text, payload: 'ok' }
  })
  const list = await (await fetch(`${url}/api/jobs`)).text()
  return [
    {
      name: 'job status',
      path: `/api/job/status/${jobIds[0]}`,
      request: { method: 'GET' },
      bare: { method: 'GET', url: '/api/job/status/:job', contentType: text, payload: 'RUNNING\n' }
    },
    {
      name: `list of ${(JSON.parse(list) as unknown[]).length} jobs`,
      path: '/api/jobs',
      request: { method: 'GET' },
      bare: { method: 'GET', url: '/api/jobs', contentType: json, payload: list }
    },
    beat(jobIds.slice(0, 1)),
    beat(jobIds)
  ]
}

/** Operations that write jobs, with several clusters of 100 jobs each. */
export function writingOperations (clusters: BenchCluster[]): Operation[] {
  // Every heartbeat of a cluster contradicts the previous one, so that all of its jobs are written each time.
  let beats = 0
  const contradict: Request = {
    setupRequest (request) {
      const { id, jobIds } = clusters[beats % clusters.length]!
      const status = Math.floor(beats++ / clusters.length) % 2 === 0 ? 'DEAD' : 'RUNNING'
      return { ...request, path: `/api/information/${id}`, body: heartbeat(jobIds, status) }
    }
  }
  let deployed = 0
  const deployNew: Request = { setupRequest: request => ({ ...request, body: deployForm(`new-${deployed++}`) }) }
  const bareDeploy: BareRoute = {
    method: 'POST',
    url: '/api/deploy',
    contentType: json,
    payload: JSON.stringify({
      job_id: '65a1b2c3d4e5f60718293a4b',
      job_name: 'bench.default.new-1000.test',
      status: 'REQUESTED'
    })
  }
  return [
    {
      name: `heartbeat, ${clusters[0]!.jobIds.length} jobs, all change`,
      path: '/',
      request: { method: 'POST', headers: jsonBody, requests: [contradict] },
      bare: { method: 'POST', url: '/api/information/:id', contentType: text, payload: 'ok' }
    },
    {
      name: 'deploy, the same again',
      path: '/api/deploy',
      request: { ...deployRequest, body: deployForm('same') },
      bare: bareDeploy
    },
    { name: 'deploy, new', path: '/api/deploy', request: { ...deployRequest, requests: [deployNew] }, bare: bareDeploy }
  ]
}
