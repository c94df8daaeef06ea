import { readService, readServices, toDescriptor } from '../../../descriptor/read.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import { ApiError } from '../../../schemas/errors.js'

/** The least that makes a descriptor, five lines. */
export const least = `app_name: demo
app_ns: default
service_name: service1
service_ns: test
image: nginx
`

/** What {@link least} reads as. */
export const leastRead = {
  app_name: 'demo',
  app_ns: 'default',
  service_name: 'service1',
  service_ns: 'test',
  image: 'nginx',
  api_version: 'v0.1',
  image_runtime: 'docker'
}

/** The descriptor of the one service in a text. */
export const readDescriptor = (text: string): Descriptor => toDescriptor(readService(text))

/** The descriptors of all services in a text. */
export const readDescriptors = (text: string): Descriptor[] => readServices(text).map(toDescriptor)

/** The ApiError that reading this text ends in; anything else is an error of the test. */
export function refusal (text: string): ApiError {
  try {
    readDescriptor(text)
  } catch (err) {
    if (err instanceof ApiError) return err
    throw err
  }
  throw new Error(`it was read: ${text.slice(0, 200)}`)
}

/** The violations as `line:column field: message`, which is how a person would read them. */
export function complaints (text: string): string[] {
  return (refusal(text).violations ?? []).map(({ field, message, line, column }) => `${line}:${column} ${field}: ${message}`)
}
