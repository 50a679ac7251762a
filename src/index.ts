// The one bundle of both of the runner's steps, which share most of what they need: each comes when it is asked for.
export const main = () => import("./main.ts");
export const post = () => import("./post.ts");
