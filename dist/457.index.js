export const id = 457;
export const ids = [457];
export const modules = {

/***/ 7457:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

__webpack_require__.r(__webpack_exports__);
/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   generateRoot: () => (/* binding */ _),
/* harmony export */   issueIntermediate: () => (/* binding */ k),
/* harmony export */   validity: () => (/* binding */ p)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(8995);
/* harmony import */ var _chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(9377);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(9473);
/* harmony import */ var node_crypto__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(7598);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
var C=(0,_chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_2__.e)((0,_chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_1__.a)(),1),e=(0,_chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_2__.e)((0,_chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_1__.b)(),1);var d=3650,E=5*6e4,m=e.KeyUsageFlags.digitalSignature|e.KeyUsageFlags.nonRepudiation|e.KeyUsageFlags.keyEncipherment|e.KeyUsageFlags.keyCertSign;async function _(t=new Date){let n=await node_crypto__WEBPACK_IMPORTED_MODULE_3__.webcrypto.subtle.generateKey(u(),!1,["sign","verify"]),i=[{O:["Istio"]},{CN:["Root CA"]}],o=await e.X509CertificateGenerator.create({serialNumber:f(),subject:i,issuer:i,...p(t),publicKey:n.publicKey,signingKey:n.privateKey,signingAlgorithm:u(),extensions:[new e.BasicConstraintsExtension(!0,void 0,!0),new e.KeyUsagesExtension(m,!0),await e.SubjectKeyIdentifierExtension.create(n.publicKey)]});return{certificate:K(o),key:n.privateKey,signature:{name:"RSASSA-PKCS1-v1_5",hash:"SHA-256"}}}async function k(t,n,i,o=new Date){let[r,c]=await Promise.all([t,node_crypto__WEBPACK_IMPORTED_MODULE_3__.webcrypto.subtle.generateKey(u(),!0,["sign","verify"])]),a=new e.X509Certificate(r.certificate),y=a.getExtension(e.SubjectKeyIdentifierExtension)?.keyId,l=await e.X509CertificateGenerator.create({serialNumber:f(),subject:[{O:["Istio"]},{CN:["Intermediate CA"]},{L:[n]}],issuer:a.subjectName,...p(o,a),publicKey:c.publicKey,signingKey:r.key,signingAlgorithm:r.signature,extensions:[new e.BasicConstraintsExtension(!0,0,!0),new e.KeyUsagesExtension(m,!0),new e.SubjectAlternativeNameExtension([{type:"dns",value:`istiod.${i}.svc`}]),await e.SubjectKeyIdentifierExtension.create(c.publicKey),y?new e.AuthorityKeyIdentifierExtension(y):await e.AuthorityKeyIdentifierExtension.create(a.publicKey)]}),x=K(l),S=await node_crypto__WEBPACK_IMPORTED_MODULE_3__.webcrypto.subtle.exportKey("pkcs8",c.privateKey);return{"ca-cert.pem":x,"ca-key.pem":`${e.PemConverter.encode(S,"PRIVATE KEY")}
`,"root-cert.pem":r.certificate,"cert-chain.pem":x+r.certificate}}function u(){return{name:"RSASSA-PKCS1-v1_5",modulusLength:3072,publicExponent:new Uint8Array([1,0,1]),hash:"SHA-256"}}function f(){let t=node_crypto__WEBPACK_IMPORTED_MODULE_3__.webcrypto.getRandomValues(new Uint8Array(16));return t[0]=t[0]&63|64,Buffer.from(t).toString("hex")}function p(t,n){let i=Math.floor(t.getTime()/1e3)*1e3;return{notBefore:new Date(Math.max(i-E,n?.notBefore.getTime()??0)),notAfter:new Date(Math.min(i+d*864e5,n?.notAfter.getTime()??Number.POSITIVE_INFINITY))}}function K(t){return`${t.toString("pem").trim()}
`}


/***/ })

};
