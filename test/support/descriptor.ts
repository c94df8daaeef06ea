/** A descriptor in YAML, of a service of this name; `more` are further lines. */
export function yamlDescriptor (serviceName = 'service1', more = ''): string {
  return `api_version: v0.1
app_name: demo
app_ns: default
service_name: ${serviceName}
service_ns: test
image: docker.io/library/nginx:alpine
image_runtime: docker
port: 80
requirements:
  cpu: 1
  memory: 100
${more}`
}

/** The same as `curl -F file=@deploy.yaml` sends it. */
export function asForm (content: string, field = 'file', filename = 'deploy.yaml'): { method: 'POST', body: FormData } {
  const body = new FormData()
  body.set(field, new Blob([content]), filename)
  return { method: 'POST', body }
}

export function asYaml (content: string): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/yaml' }, body: content }
}
