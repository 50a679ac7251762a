import { createRequire as __WEBPACK_EXTERNAL_createRequire } from "module";
/******/ var __webpack_modules__ = ({

/***/ 250:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("dns");

/***/ }),

/***/ 611:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("http");

/***/ }),

/***/ 311:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("https");

/***/ }),

/***/ 278:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("net");

/***/ }),

/***/ 421:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:child_process");

/***/ }),

/***/ 598:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:crypto");

/***/ }),

/***/ 474:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:events");

/***/ }),

/***/ 24:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:fs");

/***/ }),

/***/ 455:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:fs/promises");

/***/ }),

/***/ 67:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:http");

/***/ }),

/***/ 708:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:https");

/***/ }),

/***/ 995:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:module");

/***/ }),

/***/ 30:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:net");

/***/ }),

/***/ 760:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:path");

/***/ }),

/***/ 692:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:tls");

/***/ }),

/***/ 975:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:util");

/***/ }),

/***/ 756:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("tls");

/***/ }),

/***/ 16:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("url");

/***/ }),

/***/ 154:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("vm");

/***/ }),

/***/ 321:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ m),
/* harmony export */   b: () => (/* binding */ f),
/* harmony export */   c: () => (/* binding */ h),
/* harmony export */   e: () => (/* binding */ w)
/* harmony export */ });
/* unused harmony exports d, f */
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(995);
/* harmony import */ var _chunk_A3OM4RZW_js__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(608);
/* harmony import */ var _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_2__ = __nccwpck_require__(702);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
function m(t){return t===""?"empty":(0,_chunk_A3OM4RZW_js__WEBPACK_IMPORTED_MODULE_1__.i)(t)}function f(t){return t!==""&&/^[\w .:/\\~-]{1,100}$/.test(t)?JSON.stringify(t):"(not shown, for it looks like no name)"}function h(t){return (0,_chunk_A3OM4RZW_js__WEBPACK_IMPORTED_MODULE_1__.e)(t).replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]+/g," ")}function l(t){return t.replace(/\/\/[^/]*@/,"//")}var w="The usual cause is a secret that is not available: its name is misspelled, or the run is for a pull request from a fork, which gets no secrets",s=class extends _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_2__.a{problems;constructor(i){let o=i.map(_chunk_A3OM4RZW_js__WEBPACK_IMPORTED_MODULE_1__.e);super(`The inputs cannot be used:
${o.map(u=>`- ${u}`).join(`
`)}`,"Nothing was changed."),this.name="InputError",this.problems=o}};


/***/ }),

/***/ 608:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ T),
/* harmony export */   b: () => (/* binding */ d),
/* harmony export */   c: () => (/* binding */ l),
/* harmony export */   d: () => (/* binding */ g),
/* harmony export */   e: () => (/* binding */ f),
/* harmony export */   f: () => (/* binding */ m),
/* harmony export */   h: () => (/* binding */ D),
/* harmony export */   i: () => (/* binding */ w)
/* harmony export */ });
/* unused harmony export g */
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(995);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
var h=[76,64],i=new Map,c=new Set;function T(t){if(c.has(t))return;c.add(t);let e=g(t);if(e.length===0)return;let n=e.map(r=>encodeURIComponent(r.toWellFormed()));for(let r of new Set([...e,...n]))S(r);l(t),t.trim()!==t&&l(t.trim())}function d(t){return c.has(t)}function l(t){let e=Buffer.from(t,"utf8").toString("base64"),n=h.flatMap(r=>e.match(new RegExp(`.{1,${r}}`,"g"))??[]);for(let r of new Set([e,...n]))r.length>=8&&S(r)}function g(t){return t.split(/[\r\n]+/).map(e=>e.trim()).filter(e=>e.length>=8&&!/^-----(BEGIN|END) [A-Z0-9 ]+-----$/.test(e))}function S(t){let e=t.slice(0,8),n=i.get(e);n?n.push(t):i.set(e,[t])}function f(t){let e="",n=0;for(let{at:r,length:s}of p(t))e+=t.slice(n,r)+"***",n=r+s;return e+t.slice(n)}function m(t){return p(t).some(({length:e})=>e>=16)}function p(t){let e=[];if(i.size===0)return e;for(let n=0;n+8<=t.length;){let r=E(i.get(t.slice(n,n+8)),t,n);r>0&&e.push({at:n,length:r}),n+=r||1}return e}function E(t,e,n){let r=0;for(let s of t??[]){let o=8;for(;o<s.length&&s[o]===e[n+o];)o++;o>r&&(o===s.length||o>=16)&&(r=o)}return r}function u(t){return typeof t=="string"?f(t):Array.isArray(t)?t.map(u):typeof t!="object"||t===null||t instanceof Date?t:Object.fromEntries(Object.entries(t).map(([e,n])=>[f(e),u(n)]))}function D(t){return f(t).replace(/-----BEGIN [^-]+-----[\s\S]*?(-----END [^-]+-----|$)/g,"***").replace(/\beyJ[\w-]{8,}(\.[\w-]*){0,2}/g,"***").replace(/\b((?:bearer|basic) +)[\w.~+/=-]{8,}/gi,"$1***").replace(/\b((?:id-|refresh-|access-)?token|password|[\w-]*-data)("?\s*[:=]\s*"?)[^\s",;]{8,}/gi,"$1$2***").replace(/[A-Za-z0-9+_=-]{32,}/g,a).replace(/(?<![/\w+=-])[A-Za-z0-9+][A-Za-z0-9+/=]{39,}/g,a)}function a(t){return/[A-Z]/.test(t)&&/[a-z]/.test(t)&&/\d/.test(t)?"***":t}function w(t,e=60){return JSON.stringify(t.length>e?`${t.slice(0,e)}\u2026`:t).replace(/[\u007f-\u009f\u2028\u2029]/g,r=>`\\u${r.charCodeAt(0).toString(16).padStart(4,"0")}`)}


/***/ }),

/***/ 116:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ c)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(995);
/* harmony import */ var _chunk_2PUGCDRM_js__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(321);
/* harmony import */ var _chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_2__ = __nccwpck_require__(790);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
async function c(a,o){try{await o()}catch(r){(0,_chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_2__.m)((0,_chunk_2PUGCDRM_js__WEBPACK_IMPORTED_MODULE_1__.c)(`${a}: ${r instanceof Error?r.message:String(r)}`))}}


/***/ }),

/***/ 702:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ t)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(995);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
var t=class extends Error{hint;constructor(r,s,e){super(r,e),this.name="Failure",this.hint=s}};


/***/ }),

/***/ 790:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __nccwpck_require__) => {


// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  g: () => (/* binding */ ce),
  h: () => (/* binding */ ae),
  m: () => (/* binding */ he),
  n: () => (/* binding */ pe),
  r: () => (/* binding */ xe)
});

// UNUSED EXPORTS: a, b, c, d, e, f, i, j, k, l, o, p, q

// EXTERNAL MODULE: external "node:module"
var external_node_module_ = __nccwpck_require__(995);
;// CONCATENATED MODULE: external "assert"
const external_assert_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("assert");
;// CONCATENATED MODULE: external "path"
const external_path_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("path");
;// CONCATENATED MODULE: external "fs"
const external_fs_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("fs");
;// CONCATENATED MODULE: external "os"
const external_os_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("os");
;// CONCATENATED MODULE: external "events"
const external_events_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("events");
;// CONCATENATED MODULE: external "child_process"
const external_child_process_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("child_process");
;// CONCATENATED MODULE: external "timers"
const external_timers_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("timers");
;// CONCATENATED MODULE: external "crypto"
const external_crypto_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("crypto");
;// CONCATENATED MODULE: ./lib/bundle/chunk-LRDMJ25X.js
 const chunk_LRDMJ25X_require = (0,external_node_module_.createRequire)(import.meta.url);
var U=function(e,t,i,r){function o(n){return n instanceof i?n:new i(function(s){s(n)})}return new(i||(i=Promise))(function(n,s){function l(c){try{a(r.next(c))}catch(d){s(d)}}function u(c){try{a(r.throw(c))}catch(d){s(d)}}function a(c){c.done?n(c.value):o(c.value).then(l,u)}a((r=r.apply(e,t||[])).next())})},{chmod:T,copyFile:G,lstat:E,mkdir:Q,open:Lt,readdir:A,rename:dt,rm:q,rmdir:Rt,stat:y,symlink:Y,unlink:P}=external_fs_namespaceObject.promises,h=process.platform==="win32";function K(e){return U(this,void 0,void 0,function*(){let t=yield g.promises.readlink(e);return h&&!t.endsWith("\\")?`${t}\\`:t})}var It=external_fs_namespaceObject.constants.O_RDONLY;function v(e){return U(this,void 0,void 0,function*(){try{yield y(e)}catch(t){if(t.code==="ENOENT")return!1;throw t}return!0})}function b(e){if(e=ft(e),!e)throw new Error('isRooted() parameter "p" cannot be empty');return h?e.startsWith("\\")||/^[A-Z]:/i.test(e):e.startsWith("/")}function L(e,t){return U(this,void 0,void 0,function*(){let i;try{i=yield y(e)}catch(o){o.code!=="ENOENT"&&console.log(`Unexpected error attempting to determine if executable file exists '${e}': ${o}`)}if(i&&i.isFile()){if(h){let o=external_path_namespaceObject.extname(e).toUpperCase();if(t.some(n=>n.toUpperCase()===o))return e}else if(M(i))return e}let r=e;for(let o of t){e=r+o,i=void 0;try{i=yield y(e)}catch(n){n.code!=="ENOENT"&&console.log(`Unexpected error attempting to determine if executable file exists '${e}': ${n}`)}if(i&&i.isFile()){if(h){try{let n=external_path_namespaceObject.dirname(e),s=external_path_namespaceObject.basename(e).toUpperCase();for(let l of yield A(n))if(s===l.toUpperCase()){e=external_path_namespaceObject.join(n,l);break}}catch(n){console.log(`Unexpected error attempting to determine the actual case of the file '${e}': ${n}`)}return e}else if(M(i))return e}}return""})}function ft(e){return e=e||"",h?(e=e.replace(/\//g,"\\"),e.replace(/\\\\+/g,"\\")):e.replace(/\/\/+/g,"/")}function M(e){return(e.mode&1)>0||(e.mode&8)>0&&process.getgid!==void 0&&e.gid===process.getgid()||(e.mode&64)>0&&process.getuid!==void 0&&e.uid===process.getuid()}var x=function(e,t,i,r){function o(n){return n instanceof i?n:new i(function(s){s(n)})}return new(i||(i=Promise))(function(n,s){function l(c){try{a(r.next(c))}catch(d){s(d)}}function u(c){try{a(r.throw(c))}catch(d){s(d)}}function a(c){c.done?n(c.value):o(c.value).then(l,u)}a((r=r.apply(e,t||[])).next())})};function Ft(e,t){return x(this,arguments,void 0,function*(i,r,o={}){let{force:n,recursive:s,copySourceDirectory:l}=wt(o),u=(yield v(r))?yield y(r):null;if(u&&u.isFile()&&!n)return;let a=u&&u.isDirectory()&&l?f.join(r,f.basename(i)):r;if(!(yield v(i)))throw new Error(`no such file or directory: ${i}`);if((yield y(i)).isDirectory())if(s)yield z(i,a,0,n);else throw new Error(`Failed to copy. ${i} is a directory, but tried to copy without recursive flag.`);else{if(f.relative(i,a)==="")throw new Error(`'${a}' and '${i}' are the same file`);yield J(i,a,n)}})}function Nt(e){return x(this,void 0,void 0,function*(){if(h&&/[*"<>|]/.test(e))throw new Error('File path must not contain `*`, `"`, `<`, `>` or `|` on Windows');try{yield q(e,{force:!0,maxRetries:3,recursive:!0,retryDelay:300})}catch(t){throw new Error(`File was unable to be removed ${t}`)}})}function pt(e){return x(this,void 0,void 0,function*(){ht(e,"a path argument must be provided"),yield Q(e,{recursive:!0})})}function R(e,t){return x(this,void 0,void 0,function*(){if(!e)throw new Error("parameter 'tool' is required");if(t){let r=yield R(e,!1);if(!r)throw h?new Error(`Unable to locate executable file: ${e}. Please verify either the file path exists or the file can be found within a directory specified by the PATH environment variable. Also verify the file has a valid extension for an executable file.`):new Error(`Unable to locate executable file: ${e}. Please verify either the file path exists or the file can be found within a directory specified by the PATH environment variable. Also check the file mode to verify the file is executable.`);return r}let i=yield mt(e);return i&&i.length>0?i[0]:""})}function mt(e){return x(this,void 0,void 0,function*(){if(!e)throw new Error("parameter 'tool' is required");let t=[];if(h&&process.env.PATHEXT)for(let o of process.env.PATHEXT.split(external_path_namespaceObject.delimiter))o&&t.push(o);if(b(e)){let o=yield L(e,t);return o?[o]:[]}if(e.includes(external_path_namespaceObject.sep))return[];let i=[];if(process.env.PATH)for(let o of process.env.PATH.split(external_path_namespaceObject.delimiter))o&&i.push(o);let r=[];for(let o of i){let n=yield L(external_path_namespaceObject.join(o,e),t);n&&r.push(n)}return r})}function wt(e){let t=e.force==null?!0:e.force,i=!!e.recursive,r=e.copySourceDirectory==null?!0:!!e.copySourceDirectory;return{force:t,recursive:i,copySourceDirectory:r}}function z(e,t,i,r){return x(this,void 0,void 0,function*(){if(i>=255)return;i++,yield pt(t);let o=yield A(e);for(let n of o){let s=`${e}/${n}`,l=`${t}/${n}`;(yield E(s)).isDirectory()?yield z(s,l,i,r):yield J(s,l,r)}yield T(t,(yield y(e)).mode)})}function J(e,t,i){return x(this,void 0,void 0,function*(){if((yield E(e)).isSymbolicLink()){try{yield E(t),yield P(t)}catch(o){o.code==="EPERM"&&(yield T(t,"0666"),yield P(t))}let r=yield K(e);yield Y(r,t,h?"junction":null)}else(!(yield v(t))||i)&&(yield G(e,t))})}var Z=function(e,t,i,r){function o(n){return n instanceof i?n:new i(function(s){s(n)})}return new(i||(i=Promise))(function(n,s){function l(c){try{a(r.next(c))}catch(d){s(d)}}function u(c){try{a(r.throw(c))}catch(d){s(d)}}function a(c){c.done?n(c.value):o(c.value).then(l,u)}a((r=r.apply(e,t||[])).next())})},S=process.platform==="win32",O=class extends external_events_namespaceObject.EventEmitter{constructor(t,i,r){if(super(),!t)throw new Error("Parameter 'toolPath' cannot be null or empty.");this.toolPath=t,this.args=i||[],this.options=r||{}}_debug(t){this.options.listeners&&this.options.listeners.debug&&this.options.listeners.debug(t)}_getCommandString(t,i){let r=this._getSpawnFileName(),o=this._getSpawnArgs(t),n=i?"":"[command]";if(S)if(this._isCmdFile()){n+=r;for(let s of o)n+=` ${s}`}else if(t.windowsVerbatimArguments){n+=`"${r}"`;for(let s of o)n+=` ${s}`}else{n+=this._windowsQuoteCmdArg(r);for(let s of o)n+=` ${this._windowsQuoteCmdArg(s)}`}else{n+=r;for(let s of o)n+=` ${s}`}return n}_processLineBuffer(t,i,r){try{let o=i+t.toString(),n=o.indexOf(external_os_namespaceObject.EOL);for(;n>-1;){let s=o.substring(0,n);r(s),o=o.substring(n+external_os_namespaceObject.EOL.length),n=o.indexOf(external_os_namespaceObject.EOL)}return o}catch(o){return this._debug(`error processing line. Failed with error ${o}`),""}}_getSpawnFileName(){return S&&this._isCmdFile()?process.env.COMSPEC||"cmd.exe":this.toolPath}_getSpawnArgs(t){if(S&&this._isCmdFile()){let i=`/D /S /C "${this._windowsQuoteCmdArg(this.toolPath)}`;for(let r of this.args)i+=" ",i+=t.windowsVerbatimArguments?r:this._windowsQuoteCmdArg(r);return i+='"',[i]}return this.args}_endsWith(t,i){return t.endsWith(i)}_isCmdFile(){let t=this.toolPath.toUpperCase();return this._endsWith(t,".CMD")||this._endsWith(t,".BAT")}_windowsQuoteCmdArg(t){if(!this._isCmdFile())return this._uvQuoteCmdArg(t);if(!t)return'""';let i=[" ","	","&","(",")","[","]","{","}","^","=",";","!","'","+",",","`","~","|","<",">",'"'],r=!1;for(let s of t)if(i.some(l=>l===s)){r=!0;break}if(!r)return t;let o='"',n=!0;for(let s=t.length;s>0;s--)o+=t[s-1],n&&t[s-1]==="\\"?o+="\\":t[s-1]==='"'?(n=!0,o+='"'):n=!1;return o+='"',o.split("").reverse().join("")}_uvQuoteCmdArg(t){if(!t)return'""';if(!t.includes(" ")&&!t.includes("	")&&!t.includes('"'))return t;if(!t.includes('"')&&!t.includes("\\"))return`"${t}"`;let i='"',r=!0;for(let o=t.length;o>0;o--)i+=t[o-1],r&&t[o-1]==="\\"?i+="\\":t[o-1]==='"'?(r=!0,i+="\\"):r=!1;return i+='"',i.split("").reverse().join("")}_cloneExecOptions(t){t=t||{};let i={cwd:t.cwd||process.cwd(),env:t.env||process.env,silent:t.silent||!1,windowsVerbatimArguments:t.windowsVerbatimArguments||!1,failOnStdErr:t.failOnStdErr||!1,ignoreReturnCode:t.ignoreReturnCode||!1,delay:t.delay||1e4};return i.outStream=t.outStream||process.stdout,i.errStream=t.errStream||process.stderr,i}_getSpawnOptions(t,i){t=t||{};let r={};return r.cwd=t.cwd,r.env=t.env,r.windowsVerbatimArguments=t.windowsVerbatimArguments||this._isCmdFile(),t.windowsVerbatimArguments&&(r.argv0=`"${i}"`),r}exec(){return Z(this,void 0,void 0,function*(){return!b(this.toolPath)&&(this.toolPath.includes("/")||S&&this.toolPath.includes("\\"))&&(this.toolPath=external_path_namespaceObject.resolve(process.cwd(),this.options.cwd||process.cwd(),this.toolPath)),this.toolPath=yield R(this.toolPath,!0),new Promise((t,i)=>Z(this,void 0,void 0,function*(){this._debug(`exec tool: ${this.toolPath}`),this._debug("arguments:");for(let a of this.args)this._debug(`   ${a}`);let r=this._cloneExecOptions(this.options);!r.silent&&r.outStream&&r.outStream.write(this._getCommandString(r)+external_os_namespaceObject.EOL);let o=new I(r,this.toolPath);if(o.on("debug",a=>{this._debug(a)}),this.options.cwd&&!(yield v(this.options.cwd)))return i(new Error(`The cwd: ${this.options.cwd} does not exist!`));let n=this._getSpawnFileName(),s=external_child_process_namespaceObject.spawn(n,this._getSpawnArgs(r),this._getSpawnOptions(this.options,n)),l="";s.stdout&&s.stdout.on("data",a=>{this.options.listeners&&this.options.listeners.stdout&&this.options.listeners.stdout(a),!r.silent&&r.outStream&&r.outStream.write(a),l=this._processLineBuffer(a,l,c=>{this.options.listeners&&this.options.listeners.stdline&&this.options.listeners.stdline(c)})});let u="";if(s.stderr&&s.stderr.on("data",a=>{o.processStderr=!0,this.options.listeners&&this.options.listeners.stderr&&this.options.listeners.stderr(a),!r.silent&&r.errStream&&r.outStream&&(r.failOnStdErr?r.errStream:r.outStream).write(a),u=this._processLineBuffer(a,u,c=>{this.options.listeners&&this.options.listeners.errline&&this.options.listeners.errline(c)})}),s.on("error",a=>{o.processError=a.message,o.processExited=!0,o.processClosed=!0,o.CheckComplete()}),s.on("exit",a=>{o.processExitCode=a,o.processExited=!0,this._debug(`Exit code ${a} received from tool '${this.toolPath}'`),o.CheckComplete()}),s.on("close",a=>{o.processExitCode=a,o.processExited=!0,o.processClosed=!0,this._debug(`STDIO streams have closed for tool '${this.toolPath}'`),o.CheckComplete()}),o.on("done",(a,c)=>{l.length>0&&this.emit("stdline",l),u.length>0&&this.emit("errline",u),s.removeAllListeners(),a?i(a):t(c)}),this.options.input){if(!s.stdin)throw new Error("child process missing stdin");s.stdin.end(this.options.input)}}))})}};function it(e){let t=[],i=!1,r=!1,o="";function n(s){r&&s!=='"'&&(o+="\\"),o+=s,r=!1}for(let s=0;s<e.length;s++){let l=e.charAt(s);if(l==='"'){r?n(l):i=!i;continue}if(l==="\\"&&r){n(l);continue}if(l==="\\"&&i){r=!0;continue}if(l===" "&&!i){o.length>0&&(t.push(o),o="");continue}n(l)}return o.length>0&&t.push(o.trim()),t}var I=class e extends external_events_namespaceObject.EventEmitter{constructor(t,i){if(super(),this.processClosed=!1,this.processError="",this.processExitCode=0,this.processExited=!1,this.processStderr=!1,this.delay=1e4,this.done=!1,this.timeout=null,!i)throw new Error("toolPath must not be empty");this.options=t,this.toolPath=i,t.delay&&(this.delay=t.delay)}CheckComplete(){this.done||(this.processClosed?this._setResult():this.processExited&&(this.timeout=(0,external_timers_namespaceObject.setTimeout)(e.HandleTimeout,this.delay,this)))}_debug(t){this.emit("debug",t)}_setResult(){let t;this.processExited&&(this.processError?t=new Error(`There was an error when attempting to execute the process '${this.toolPath}'. This may indicate the process failed to start. Error: ${this.processError}`):this.processExitCode!==0&&!this.options.ignoreReturnCode?t=new Error(`The process '${this.toolPath}' failed with exit code ${this.processExitCode}`):this.processStderr&&this.options.failOnStdErr&&(t=new Error(`The process '${this.toolPath}' failed because one or more lines were written to the STDERR stream`))),this.timeout&&(clearTimeout(this.timeout),this.timeout=null),this.done=!0,this.emit("done",t,this.processExitCode)}static HandleTimeout(t){if(!t.done){if(!t.processClosed&&t.processExited){let i=`The STDIO streams did not close within ${t.delay/1e3} seconds of the exit event from process '${t.toolPath}'. This may indicate a child process inherited the STDIO streams and has not yet exited.`;t._debug(i)}t._setResult()}}};var gt=function(e,t,i,r){function o(n){return n instanceof i?n:new i(function(s){s(n)})}return new(i||(i=Promise))(function(n,s){function l(c){try{a(r.next(c))}catch(d){s(d)}}function u(c){try{a(r.throw(c))}catch(d){s(d)}}function a(c){c.done?n(c.value):o(c.value).then(l,u)}a((r=r.apply(e,t||[])).next())})};function jt(e,t,i){return gt(this,void 0,void 0,function*(){let r=it(e);if(r.length===0)throw new Error("Parameter 'commandLine' cannot be null or empty.");let o=r[0];return t=r.slice(1).concat(t||[]),new O(o,t,i).exec()})}function p(e){return e==null?"":typeof e=="string"||e instanceof String?e:JSON.stringify(e)}function k(e){return Object.keys(e).length?{title:e.title,file:e.file,line:e.startLine,endLine:e.endLine,col:e.startColumn,endColumn:e.endColumn}:{}}function w(e,t,i){let r=new F(e,t,i);process.stdout.write(r.toString()+external_os_namespaceObject.EOL)}function N(e,t=""){w(e,{},t)}var rt="::",F=class{constructor(t,i,r){t||(t="missing.command"),this.command=t,this.properties=i,this.message=r}toString(){let t=rt+this.command;if(this.properties&&Object.keys(this.properties).length>0){t+=" ";let i=!0;for(let r in this.properties)if(this.properties.hasOwnProperty(r)){let o=this.properties[r];o&&(i?i=!1:t+=",",t+=`${r}=${bt(o)}`)}}return t+=`${rt}${Et(this.message)}`,t}};function Et(e){return p(e).replace(/%/g,"%25").replace(/\r/g,"%0D").replace(/\n/g,"%0A")}function bt(e){return p(e).replace(/%/g,"%25").replace(/\r/g,"%0D").replace(/\n/g,"%0A").replace(/:/g,"%3A").replace(/,/g,"%2C")}function W(e,t){let i=process.env[`GITHUB_${e}`];if(!i)throw new Error(`Unable to find environment variable for file command ${e}`);if(!$.existsSync(i))throw new Error(`Missing file at path: ${i}`);$.appendFileSync(i,`${p(t)}${C.EOL}`,{encoding:"utf8"})}function j(e,t){let i=`ghadelimiter_${nt.randomUUID()}`,r=p(t);if(e.includes(i))throw new Error(`Unexpected input: name should not contain the delimiter "${i}"`);if(r.includes(i))throw new Error(`Unexpected input: value should not contain the delimiter "${i}"`);return`${e}<<${i}${C.EOL}${r}${C.EOL}${i}`}var V=function(e,t,i,r){function o(n){return n instanceof i?n:new i(function(s){s(n)})}return new(i||(i=Promise))(function(n,s){function l(c){try{a(r.next(c))}catch(d){s(d)}}function u(c){try{a(r.throw(c))}catch(d){s(d)}}function a(c){c.done?n(c.value):o(c.value).then(l,u)}a((r=r.apply(e,t||[])).next())})},{access:Ct,appendFile:$t,writeFile:Ut}=external_fs_namespaceObject.promises,ct="GITHUB_STEP_SUMMARY";var B=class{constructor(){this._buffer=""}filePath(){return V(this,void 0,void 0,function*(){if(this._filePath)return this._filePath;let t=process.env[ct];if(!t)throw new Error(`Unable to find environment variable for $${ct}. Check if your runtime environment supports job summaries.`);try{yield Ct(t,external_fs_namespaceObject.constants.R_OK|external_fs_namespaceObject.constants.W_OK)}catch{throw new Error(`Unable to access summary file: '${t}'. Check if the file has correct read/write permissions.`)}return this._filePath=t,this._filePath})}wrap(t,i,r={}){let o=Object.entries(r).map(([n,s])=>` ${n}="${s}"`).join("");return i?`<${t}${o}>${i}</${t}>`:`<${t}${o}>`}write(t){return V(this,void 0,void 0,function*(){let i=!!t?.overwrite,r=yield this.filePath();return yield(i?Ut:$t)(r,this._buffer,{encoding:"utf8"}),this.emptyBuffer()})}clear(){return V(this,void 0,void 0,function*(){return this.emptyBuffer().write({overwrite:!0})})}stringify(){return this._buffer}isEmptyBuffer(){return this._buffer.length===0}emptyBuffer(){return this._buffer="",this}addRaw(t,i=!1){return this._buffer+=t,i?this.addEOL():this}addEOL(){return this.addRaw(external_os_namespaceObject.EOL)}addCodeBlock(t,i){let r=Object.assign({},i&&{lang:i}),o=this.wrap("pre",this.wrap("code",t),r);return this.addRaw(o).addEOL()}addList(t,i=!1){let r=i?"ol":"ul",o=t.map(s=>this.wrap("li",s)).join(""),n=this.wrap(r,o);return this.addRaw(n).addEOL()}addTable(t){let i=t.map(o=>{let n=o.map(s=>{if(typeof s=="string")return this.wrap("td",s);let{header:l,data:u,colspan:a,rowspan:c}=s,d=l?"th":"td",ut=Object.assign(Object.assign({},a&&{colspan:a}),c&&{rowspan:c});return this.wrap(d,u,ut)}).join("");return this.wrap("tr",n)}).join(""),r=this.wrap("table",i);return this.addRaw(r).addEOL()}addDetails(t,i){let r=this.wrap("details",this.wrap("summary",t)+i);return this.addRaw(r).addEOL()}addImage(t,i,r){let{width:o,height:n}=r||{},s=Object.assign(Object.assign({},o&&{width:o}),n&&{height:n}),l=this.wrap("img",null,Object.assign({src:t,alt:i},s));return this.addRaw(l).addEOL()}addHeading(t,i){let r=`h${i}`,o=["h1","h2","h3","h4","h5","h6"].includes(r)?r:"h1",n=this.wrap(o,t);return this.addRaw(n).addEOL()}addSeparator(){let t=this.wrap("hr",null);return this.addRaw(t).addEOL()}addBreak(){let t=this.wrap("br",null);return this.addRaw(t).addEOL()}addQuote(t,i){let r=Object.assign({},i&&{cite:i}),o=this.wrap("blockquote",t,r);return this.addRaw(o).addEOL()}addLink(t,i){let r=this.wrap("a",t,{href:i});return this.addRaw(r).addEOL()}},Tt=new B;var At=(/* unused pure expression or super */ null && (Tt));var Jt=external_os_namespaceObject.platform(),Zt=external_os_namespaceObject.arch();var lt;(function(e){e[e.Success=0]="Success",e[e.Failure=1]="Failure"})(lt||(lt={}));function ce(e){w("add-mask",{},e)}function ae(e,t){let i=process.env[`INPUT_${e.replace(/ /g,"_").toUpperCase()}`]||"";if(t&&t.required&&!i)throw new Error(`Input required and not supplied: ${e}`);return t&&t.trimWhitespace===!1?i:i.trim()}function le(e,t){if(process.env.GITHUB_OUTPUT||"")return W("OUTPUT",j(e,t));process.stdout.write(H.EOL),w("set-output",{name:e},p(t))}function ue(){return process.env.RUNNER_DEBUG==="1"}function de(e){w("debug",{},e)}function fe(e,t={}){w("error",k(t),e instanceof Error?e.toString():e)}function he(e,t={}){w("warning",k(t),e instanceof Error?e.toString():e)}function pe(e){process.stdout.write(e+external_os_namespaceObject.EOL)}function me(e){N("group",e)}function we(){N("endgroup")}function ye(e,t){if(process.env.GITHUB_STATE||"")return W("STATE",j(e,t));w("save-state",{name:e},p(t))}function xe(e){return process.env[`STATE_${e}`]||""}


/***/ }),

/***/ 91:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ o),
/* harmony export */   b: () => (/* binding */ e),
/* harmony export */   c: () => (/* binding */ r)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(995);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
var o="folder",e="probe",r="holder";


/***/ }),

/***/ 473:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ m),
/* harmony export */   b: () => (/* binding */ n),
/* harmony export */   c: () => (/* binding */ o),
/* harmony export */   d: () => (/* binding */ p),
/* harmony export */   e: () => (/* binding */ q),
/* harmony export */   f: () => (/* binding */ r)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(995);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
var h=Object.create;var f=Object.defineProperty;var i=Object.getOwnPropertyDescriptor;var j=Object.getOwnPropertyNames;var k=Object.getPrototypeOf,l=Object.prototype.hasOwnProperty;var m=(a=>typeof require<"u"?require:typeof Proxy<"u"?new Proxy(a,{get:(b,c)=>(typeof require<"u"?require:b)[c]}):a)(function(a){if(typeof require<"u")return require.apply(this,arguments);throw Error('Dynamic require of "'+a+'" is not supported')});var n=(a,b,c)=>()=>{if(c)throw c[0];try{return a&&(b=a(a=0)),b}catch(d){throw c=[d],d}};var o=(a,b)=>()=>{try{return b||a((b={exports:{}}).exports,b),b.exports}catch(c){throw b=0,c}},p=(a,b)=>{for(var c in b)f(a,c,{get:b[c],enumerable:!0})},g=(a,b,c,d)=>{if(b&&typeof b=="object"||typeof b=="function")for(let e of j(b))!l.call(a,e)&&e!==c&&f(a,e,{get:()=>b[e],enumerable:!(d=i(b,e))||d.enumerable});return a};var q=(a,b,c)=>(c=a!=null?h(k(a)):{},g(b||!a||!a.__esModule?f(c,"default",{value:a,enumerable:!0}):c,a)),r=a=>g(f({},"__esModule",{value:!0}),a);


/***/ }),

/***/ 255:
/***/ ((__webpack_module__, __unused_webpack___webpack_exports__, __nccwpck_require__) => {

__nccwpck_require__.a(__webpack_module__, async (__webpack_handle_async_dependencies__, __webpack_async_result__) => { try {
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(995);
/* harmony import */ var _chunk_P6VSIOKT_js__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(91);
/* harmony import */ var _chunk_AWP5NTDH_js__WEBPACK_IMPORTED_MODULE_2__ = __nccwpck_require__(116);
/* harmony import */ var _chunk_2PUGCDRM_js__WEBPACK_IMPORTED_MODULE_3__ = __nccwpck_require__(321);
/* harmony import */ var _chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__ = __nccwpck_require__(790);
/* harmony import */ var _chunk_A3OM4RZW_js__WEBPACK_IMPORTED_MODULE_5__ = __nccwpck_require__(608);
/* harmony import */ var _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_6__ = __nccwpck_require__(702);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_7__ = __nccwpck_require__(473);
/* harmony import */ var node_fs_promises__WEBPACK_IMPORTED_MODULE_8__ = __nccwpck_require__(455);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
async function n(){await (0,_chunk_AWP5NTDH_js__WEBPACK_IMPORTED_MODULE_2__.a)("The probe's namespace could not be removed",()=>p((0,_chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__.r)(_chunk_P6VSIOKT_js__WEBPACK_IMPORTED_MODULE_1__.b))),await (0,_chunk_AWP5NTDH_js__WEBPACK_IMPORTED_MODULE_2__.a)("The clusters' Leases could not be given back",()=>u((0,_chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__.r)(_chunk_P6VSIOKT_js__WEBPACK_IMPORTED_MODULE_1__.c))),await (0,_chunk_AWP5NTDH_js__WEBPACK_IMPORTED_MODULE_2__.a)("The temporary folder could not be removed",()=>m((0,_chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__.r)(_chunk_P6VSIOKT_js__WEBPACK_IMPORTED_MODULE_1__.a)))}async function m(e){e&&await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_8__.rm)(e,{recursive:!0,force:!0})}async function u(e){if(!e)return;await(await __nccwpck_require__.e(/* import() */ 795).then(__nccwpck_require__.bind(__nccwpck_require__, 795))).releaseLeases(e)}async function p(e){if(!e)return;await(await __nccwpck_require__.e(/* import() */ 795).then(__nccwpck_require__.bind(__nccwpck_require__, 795))).removeProbes(e)}await n();

__webpack_async_result__();
} catch(e) { __webpack_async_result__(e); } }, 1);

/***/ })

/******/ });
/************************************************************************/
/******/ // The module cache
/******/ var __webpack_module_cache__ = {};
/******/ 
/******/ // The require function
/******/ function __nccwpck_require__(moduleId) {
/******/ 	// Check if module is in cache
/******/ 	var cachedModule = __webpack_module_cache__[moduleId];
/******/ 	if (cachedModule !== undefined) {
/******/ 		return cachedModule.exports;
/******/ 	}
/******/ 	// Create a new module (and put it into the cache)
/******/ 	var module = __webpack_module_cache__[moduleId] = {
/******/ 		// no module.id needed
/******/ 		// no module.loaded needed
/******/ 		exports: {}
/******/ 	};
/******/ 
/******/ 	// Execute the module function
/******/ 	var threw = true;
/******/ 	try {
/******/ 		__webpack_modules__[moduleId](module, module.exports, __nccwpck_require__);
/******/ 		threw = false;
/******/ 	} finally {
/******/ 		if(threw) delete __webpack_module_cache__[moduleId];
/******/ 	}
/******/ 
/******/ 	// Return the exports of the module
/******/ 	return module.exports;
/******/ }
/******/ 
/******/ // expose the modules object (__webpack_modules__)
/******/ __nccwpck_require__.m = __webpack_modules__;
/******/ 
/************************************************************************/
/******/ /* webpack/runtime/asset-relocator-loader */
/******/ if (typeof __nccwpck_require__ !== 'undefined') __nccwpck_require__.ab = decodeURIComponent(new URL('.', import.meta.url).pathname).slice(import.meta.url.match(/^file:\/\/\/\w:/) ? 1 : 0, -1) + "/";
/******/ 
/******/ /* webpack/runtime/async module */
/******/ (() => {
/******/ 	var webpackQueues = typeof Symbol === "function" ? Symbol("webpack queues") : "__webpack_queues__";
/******/ 	var webpackExports = typeof Symbol === "function" ? Symbol("webpack exports") : "__webpack_exports__";
/******/ 	var webpackError = typeof Symbol === "function" ? Symbol("webpack error") : "__webpack_error__";
/******/ 	var resolveQueue = (queue) => {
/******/ 		if(queue && queue.d < 1) {
/******/ 			queue.d = 1;
/******/ 			queue.forEach((fn) => (fn.r--));
/******/ 			queue.forEach((fn) => (fn.r-- ? fn.r++ : fn()));
/******/ 		}
/******/ 	}
/******/ 	var wrapDeps = (deps) => (deps.map((dep) => {
/******/ 		if(dep !== null && typeof dep === "object") {
/******/ 			if(dep[webpackQueues]) return dep;
/******/ 			if(dep.then) {
/******/ 				var queue = [];
/******/ 				queue.d = 0;
/******/ 				dep.then((r) => {
/******/ 					obj[webpackExports] = r;
/******/ 					resolveQueue(queue);
/******/ 				}, (e) => {
/******/ 					obj[webpackError] = e;
/******/ 					resolveQueue(queue);
/******/ 				});
/******/ 				var obj = {};
/******/ 				obj[webpackQueues] = (fn) => (fn(queue));
/******/ 				return obj;
/******/ 			}
/******/ 		}
/******/ 		var ret = {};
/******/ 		ret[webpackQueues] = x => {};
/******/ 		ret[webpackExports] = dep;
/******/ 		return ret;
/******/ 	}));
/******/ 	__nccwpck_require__.a = (module, body, hasAwait) => {
/******/ 		var queue;
/******/ 		hasAwait && ((queue = []).d = -1);
/******/ 		var depQueues = new Set();
/******/ 		var exports = module.exports;
/******/ 		var currentDeps;
/******/ 		var outerResolve;
/******/ 		var reject;
/******/ 		var promise = new Promise((resolve, rej) => {
/******/ 			reject = rej;
/******/ 			outerResolve = resolve;
/******/ 		});
/******/ 		promise[webpackExports] = exports;
/******/ 		promise[webpackQueues] = (fn) => (queue && fn(queue), depQueues.forEach(fn), promise["catch"](x => {}));
/******/ 		module.exports = promise;
/******/ 		body((deps) => {
/******/ 			currentDeps = wrapDeps(deps);
/******/ 			var fn;
/******/ 			var getResult = () => (currentDeps.map((d) => {
/******/ 				if(d[webpackError]) throw d[webpackError];
/******/ 				return d[webpackExports];
/******/ 			}))
/******/ 			var promise = new Promise((resolve) => {
/******/ 				fn = () => (resolve(getResult));
/******/ 				fn.r = 0;
/******/ 				var fnQueue = (q) => (q !== queue && !depQueues.has(q) && (depQueues.add(q), q && !q.d && (fn.r++, q.push(fn))));
/******/ 				currentDeps.map((dep) => (dep[webpackQueues](fnQueue)));
/******/ 			});
/******/ 			return fn.r ? promise : getResult();
/******/ 		}, (err) => ((err ? reject(promise[webpackError] = err) : outerResolve(exports)), resolveQueue(queue)));
/******/ 		queue && queue.d < 0 && (queue.d = 0);
/******/ 	};
/******/ })();
/******/ 
/******/ /* webpack/runtime/define property getters */
/******/ (() => {
/******/ 	// define getter functions for harmony exports
/******/ 	__nccwpck_require__.d = (exports, definition) => {
/******/ 		for(var key in definition) {
/******/ 			if(__nccwpck_require__.o(definition, key) && !__nccwpck_require__.o(exports, key)) {
/******/ 				Object.defineProperty(exports, key, { enumerable: true, get: definition[key] });
/******/ 			}
/******/ 		}
/******/ 	};
/******/ })();
/******/ 
/******/ /* webpack/runtime/ensure chunk */
/******/ (() => {
/******/ 	__nccwpck_require__.f = {};
/******/ 	// This file contains only the entry chunk.
/******/ 	// The chunk loading function for additional chunks
/******/ 	__nccwpck_require__.e = (chunkId) => {
/******/ 		return Promise.all(Object.keys(__nccwpck_require__.f).reduce((promises, key) => {
/******/ 			__nccwpck_require__.f[key](chunkId, promises);
/******/ 			return promises;
/******/ 		}, []));
/******/ 	};
/******/ })();
/******/ 
/******/ /* webpack/runtime/get javascript chunk filename */
/******/ (() => {
/******/ 	// This function allow to reference async chunks
/******/ 	__nccwpck_require__.u = (chunkId) => {
/******/ 		// return url for filenames based on template
/******/ 		return "" + chunkId + ".index.js";
/******/ 	};
/******/ })();
/******/ 
/******/ /* webpack/runtime/hasOwnProperty shorthand */
/******/ (() => {
/******/ 	__nccwpck_require__.o = (obj, prop) => (Object.prototype.hasOwnProperty.call(obj, prop))
/******/ })();
/******/ 
/******/ /* webpack/runtime/make namespace object */
/******/ (() => {
/******/ 	// define __esModule on exports
/******/ 	__nccwpck_require__.r = (exports) => {
/******/ 		if(typeof Symbol !== 'undefined' && Symbol.toStringTag) {
/******/ 			Object.defineProperty(exports, Symbol.toStringTag, { value: 'Module' });
/******/ 		}
/******/ 		Object.defineProperty(exports, '__esModule', { value: true });
/******/ 	};
/******/ })();
/******/ 
/******/ /* webpack/runtime/import chunk loading */
/******/ (() => {
/******/ 	// no baseURI
/******/ 	
/******/ 	// object to store loaded and loading chunks
/******/ 	// undefined = chunk not loaded, null = chunk preloaded/prefetched
/******/ 	// [resolve, Promise] = chunk loading, 0 = chunk loaded
/******/ 	var installedChunks = {
/******/ 		792: 0
/******/ 	};
/******/ 	
/******/ 	var installChunk = (data) => {
/******/ 		var {ids, modules, runtime} = data;
/******/ 		// add "modules" to the modules object,
/******/ 		// then flag all "ids" as loaded and fire callback
/******/ 		var moduleId, chunkId, i = 0;
/******/ 		for(moduleId in modules) {
/******/ 			if(__nccwpck_require__.o(modules, moduleId)) {
/******/ 				__nccwpck_require__.m[moduleId] = modules[moduleId];
/******/ 			}
/******/ 		}
/******/ 		if(runtime) runtime(__nccwpck_require__);
/******/ 		for(;i < ids.length; i++) {
/******/ 			chunkId = ids[i];
/******/ 			if(__nccwpck_require__.o(installedChunks, chunkId) && installedChunks[chunkId]) {
/******/ 				installedChunks[chunkId][0]();
/******/ 			}
/******/ 			installedChunks[ids[i]] = 0;
/******/ 		}
/******/ 	
/******/ 	}
/******/ 	
/******/ 	__nccwpck_require__.f.j = (chunkId, promises) => {
/******/ 			// import() chunk loading for javascript
/******/ 			var installedChunkData = __nccwpck_require__.o(installedChunks, chunkId) ? installedChunks[chunkId] : undefined;
/******/ 			if(installedChunkData !== 0) { // 0 means "already installed".
/******/ 	
/******/ 				// a Promise means "currently loading".
/******/ 				if(installedChunkData) {
/******/ 					promises.push(installedChunkData[1]);
/******/ 				} else {
/******/ 					if(true) { // all chunks have JS
/******/ 						// setup Promise in chunk cache
/******/ 						var promise = import("./" + __nccwpck_require__.u(chunkId)).then(installChunk, (e) => {
/******/ 							if(installedChunks[chunkId] !== 0) installedChunks[chunkId] = undefined;
/******/ 							throw e;
/******/ 						});
/******/ 						var promise = Promise.race([promise, new Promise((resolve) => (installedChunkData = installedChunks[chunkId] = [resolve]))])
/******/ 						promises.push(installedChunkData[1] = promise);
/******/ 					}
/******/ 				}
/******/ 			}
/******/ 	};
/******/ 	
/******/ 	// no prefetching
/******/ 	
/******/ 	// no preloaded
/******/ 	
/******/ 	// no external install chunk
/******/ 	
/******/ 	// no on chunks loaded
/******/ })();
/******/ 
/************************************************************************/
/******/ 
/******/ // startup
/******/ // Load entry module and return exports
/******/ // This entry module used 'module' so it can't be inlined
/******/ var __webpack_exports__ = __nccwpck_require__(255);
/******/ __webpack_exports__ = await __webpack_exports__;
/******/ 
